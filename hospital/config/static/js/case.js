// The case page: which field is shown and how, by mouse or by key; and a signature that is being
// written is never swept away by news.

const page = document.getElementById("case");
const keysOn = document.getElementById("keys-on");
const MODE = "leukolens.mode";
const KEYS = "leukolens.keys";

// --- how a field is shown ---------------------------------------------------------------------

let plain = "original";

function setMode(mode) {
  const radio = document.querySelector(`#modes input[value="${CSS.escape(mode)}"]`);
  if (!radio) return;
  if (page.dataset.mode !== mode) plain = page.dataset.mode;
  radio.checked = true;
  page.dataset.mode = mode;
  localStorage.setItem(MODE, mode);
}

function toggle(mode) {
  setMode(page.dataset.mode === mode ? (plain === mode ? "original" : plain) : mode);
}

// --- which field is shown ---------------------------------------------------------------------

function chosen() {
  return page.querySelector(".field-view:not([hidden])")?.dataset.field;
}

function choose(field, root = page) {
  if (!root.querySelector(`.field-view[data-field="${CSS.escape(field)}"]`)) return;
  for (const view of root.querySelectorAll(".field-view")) view.hidden = view.dataset.field !== field;
  for (const pick of root.querySelectorAll(".pick")) {
    if (pick.dataset.field === field) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
  }
}

function step(by) {
  const picks = [...page.querySelectorAll(".pick")];
  const at = picks.findIndex((pick) => pick.dataset.field === chosen());
  const next = picks[(at + by + picks.length) % picks.length];
  if (!next) return;
  choose(next.dataset.field);
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
}

page.addEventListener("click", (event) => {
  const pick = event.target.closest(".pick");
  if (!pick || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(pick.dataset.field);
  history.replaceState(null, "", pick.getAttribute("href"));
});

document.getElementById("modes").addEventListener("change", (event) => setMode(event.target.value));

const ACTIONS = {
  o: () => toggle("overlay"),
  s: () => toggle("side"),
  j: () => step(1),
  k: () => step(-1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
  if (event.target.closest("textarea, select, input:not([type=radio], [type=checkbox])")) return;
  ACTIONS[event.key]?.();
});

keysOn.checked = localStorage.getItem(KEYS) !== "off";
keysOn.addEventListener("change", () => localStorage.setItem(KEYS, keysOn.checked ? "on" : "off"));
setMode(localStorage.getItem(MODE) || "original");

// "Try again" is gone once pressed; the one who pressed it stays where they were.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.requestConfig.elt.matches(".verdict form")) return;
  if (!detail.successful) return location.reload();
  document.getElementById(`field-title-${chosen()}`)?.focus();
});

// --- the signature ----------------------------------------------------------------------------

function begun() {
  const form = document.getElementById("sign");
  if (!form) return false;
  return Boolean(
    form.dataset.touched ||
      form.contains(document.activeElement) ||
      form.querySelector("input[name=conclusion]:checked") ||
      form.comment.value,
  );
}

let present = null;

function protect({ version, status }) {
  const signing = ["partial", "preliminary"].includes(status);
  document.getElementById("sign-late").hidden = signing || status === "registered";
  const form = document.getElementById("sign");
  present = version;
  document.getElementById("sign-changed").hidden = !signing || form.version.value === version;
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target.id === "case-fields") {
    const current = chosen();
    if (current) choose(current, detail.fragment);
  }
  if (detail.target.id === "case-actions" && begun()) {
    detail.shouldSwap = false;
    protect(detail.fragment.querySelector("#case-actions").dataset);
  }
});

for (const kind of ["keydown", "change"]) {
  document.addEventListener(kind, (event) => {
    const form = event.target.closest?.("#sign");
    if (form && event.key !== "Tab") form.dataset.touched = "yes";
  });
}

document.addEventListener("click", (event) => {
  if (event.target.id !== "sign-seen") return;
  const form = document.getElementById("sign");
  form.version.value = present;
  document.getElementById("sign-changed").hidden = true;
  form.querySelector("input[name=conclusion]:checked, input[name=conclusion]").focus();
});

document.querySelector("[data-focus]")?.focus();
