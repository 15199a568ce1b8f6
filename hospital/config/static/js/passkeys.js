// Passkeys. A form says by data-passkey what it is for:
//   "sign-in"  whoever the passkey belongs to; the options are fetched when the button is pressed
//   "confirm"  the person whom the page knows; the options stand in the element data-options names
//   "add"      a new passkey; likewise
//   "prove"    the person of this session, beside other ways; the button names the address of the
//              options in data-options-at. Such a form may be swapped for another.
// window.webauthnJSON is django-allauth's copy of github/webauthn-json.

const json = window.webauthnJSON;
// A passkey belongs to a name: browsers make none for a bare network address.
const named = !/^[\d.]+$|:/.test(location.hostname);
const possible = window.isSecureContext && "PublicKeyCredential" in window && json && named;

function told(form) {
  return JSON.parse(document.getElementById(form.dataset.options).textContent);
}

async function options(form, button) {
  const { passkey } = form.dataset;
  if (passkey === "add" || passkey === "confirm") return told(form);
  const address = passkey === "prove" ? button.dataset.optionsAt : form.action;
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`no options: ${answer.status}`);
  return answer.json();
}

async function add(form, { creation_options: wanted }) {
  const selection = (wanted.publicKey.authenticatorSelection ??= {});
  const alone = form.elements.passwordless;
  if (!alone || alone.type === "hidden" || alone.checked) {
    Object.assign(selection, {
      residentKey: "required", requireResidentKey: true, userVerification: "required",
    });
  }
  // On an invitation the name is chosen on the same page.
  const name = form.elements.username?.value;
  if (name) Object.assign(wanted.publicKey.user, { name, displayName: name });
  return json.create(wanted);
}

async function press(form, button, trouble) {
  trouble.hidden = true;
  if (!form.reportValidity()) return;
  button.disabled = true;
  try {
    const wanted = await options(form, button);
    const made = form.dataset.passkey === "add"
      ? await add(form, wanted)
      : await json.get(wanted.request_options);
    form.elements.credential.value = JSON.stringify(made);
    form.submit();
  } catch (error) {
    console.info("passkey:", error.name);
    trouble.hidden = false;
    button.disabled = false;
  }
}

function setUp() {
  for (const form of document.querySelectorAll("form[data-passkey]:not([data-ready])")) {
    form.dataset.ready = "yes";
    const button = form.querySelector("[data-passkey-button]");
    const trouble = form.querySelector("[data-passkey-trouble]");
    if (possible) {
      form.hidden = false;
      button.addEventListener("click", () => press(form, button, trouble));
    } else {
      button.hidden = true;
      form.querySelector("[data-passkey-impossible]").hidden = false;
    }
  }
}

document.addEventListener("htmx:afterSettle", setUp);
setUp();
