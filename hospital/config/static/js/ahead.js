// Fetches what the next case shows first, so that it stands there at once when it is opened.
//
// A link with data-ahead="…" says where the addresses of its pictures come from. The browser keeps
// what it fetched and, when the case is opened, asks whether it still may show it. The requests say
// what they are for: fetched is not looked at, and the audit trail keeps the two apart.

const OPTIONS = { headers: { "X-Purpose": "ahead" }, priority: "low" };
const asked = new Set();
const idle = window.requestIdleCallback ?? ((run) => window.setTimeout(run, 300));

async function fetchAhead(address) {
  const answer = await fetch(address, OPTIONS).catch(() => null);
  if (!answer?.ok) return; // there is no next case, or it can wait until it is opened
  const { pictures } = await answer.json();
  for (const picture of pictures) {
    // One at a time: what the reader looks at now goes first.
    await fetch(picture, OPTIONS).then((found) => found.blob()).catch(() => {});
  }
}

function want(link) {
  const address = link?.dataset.ahead;
  if (!address || asked.has(address) || navigator.connection?.saveData) return;
  asked.add(address);
  idle(() => fetchAhead(address));
}

const first = () => want(document.querySelector("[data-ahead]"));
for (const kind of ["pointerover", "focusin"]) {
  document.addEventListener(kind, ({ target }) => want(target.closest?.("[data-ahead]")));
}
document.addEventListener("htmx:afterSettle", first);
window.addEventListener("load", first);
if (document.readyState === "complete") first();
