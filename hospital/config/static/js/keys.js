// Single keys, which everybody may change or switch off (WCAG 2.1.4), each for themselves on this
// computer. Never while somebody types, and never with Control, Alt or Command.
//
// #keys-dialog holds a row for each action: <input data-action="undo" data-key="u">.

const dialog = document.getElementById("keys-dialog");
const on = document.getElementById("keys-on");
const inputs = [...dialog.querySelectorAll("input[data-action]")];
const KEPT = `leukolens.keys.${dialog.dataset.user}`;
const TYPING = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=range])";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // what cannot be read is as if it had never been kept
  }
}

function restore() {
  const kept = remembered();
  on.checked = kept.on ?? true;
  for (const input of inputs) input.value = kept.keys?.[input.dataset.action] ?? input.dataset.key;
}

function keep() {
  const chosen = inputs.map((input) => [input.dataset.action, input.value]);
  // Beside those of the actions that another page has.
  const state = { on: on.checked, keys: { ...remembered().keys, ...Object.fromEntries(chosen) } };
  localStorage.setItem(KEPT, JSON.stringify(state));
}

/** One key for one action: whoever gets a key takes it from the other. */
function rekey(input, key) {
  for (const other of inputs) if (other !== input && other.value === key) other.value = "";
  input.value = key;
  keep();
}

/** Has `actions`, functions by name, done by their keys. */
export function keys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.defaultPrevented || event.target.closest(TYPING) || dialog.open) return;
    if (!on.checked) return;
    const action = inputs.find((input) => input.value === event.key)?.dataset.action;
    if (!action) return;
    event.preventDefault(); // Firefox searches the page by "/" and by typing
    if (action === "list") dialog.showModal();
    else actions[action]?.();
  });
}

for (const input of inputs) {
  input.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace" || event.key === "Delete") rekey(input, "");
    else if (event.key.length === 1 && event.key !== " ") rekey(input, event.key);
    else return;
    event.preventDefault();
  });
  // A telephone's keyboard names no keys.
  input.addEventListener("input", () => rekey(input, input.value.trim().slice(-1)));
  input.addEventListener("focus", () => input.select());
}
on.addEventListener("change", keep);
document.getElementById("keys-open").addEventListener("click", () => dialog.showModal());
document.getElementById("keys-close").addEventListener("click", () => dialog.close());
document.getElementById("keys-reset").addEventListener("click", () => {
  for (const input of inputs) input.value = input.dataset.key;
  on.checked = true;
  keep();
});
document.getElementById("keys-open").hidden = false;
restore();
