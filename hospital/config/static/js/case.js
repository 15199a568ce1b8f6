// The case page: which field is shown, by mouse or by key; and a signature that is being written is
// never swept away by news.

import { addressOf } from "./fields.js";
import { name, undoing } from "./gallery.js";
import { keys } from "./keys.js";
import { toggleSheet } from "./seen.js";
import { show, toggle } from "./viewer.js";

const page = document.getElementById("case");
const source = document.querySelector("[data-refresh]");

// --- which field is shown ---------------------------------------------------------------------

let current = document.getElementById("case-field").dataset.field;

function picks(root = page) {
  return [...root.querySelectorAll(".pick")];
}

function point(root = page) {
  for (const pick of picks(root)) {
    if (pick.dataset.field === current) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
  }
}

/** Turns to a field: its words come from the server, its picture as soon as they are there. */
function choose(pick) {
  document.getElementById("scope").scrollIntoView({ block: "nearest" });
  if (!pick || pick.dataset.field === current) return;
  current = pick.dataset.field;
  point();
  pick.scrollIntoView({ block: "nearest", inline: "nearest" });
  history.replaceState(null, "", pick.getAttribute("href"));
  source.dataset.refresh = source.dataset.refresh.split("?")[0] + pick.getAttribute("href");
  // Without an answer the page's next look at itself brings the field.
  window.htmx.ajax("GET", addressOf("part", current), { target: "#case-field", swap: "outerHTML" }).catch(() => {});
}

function step(by) {
  const all = picks();
  const at = all.findIndex((pick) => pick.dataset.field === current);
  choose(all[(at + by + all.length) % all.length]);
}

page.addEventListener("click", (event) => {
  const link = event.target.closest(".pick, #next-left");
  const pick = link?.id === "next-left" ? picks().find((one) => one.dataset.field === link.dataset.next) : link;
  if (!pick || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(pick);
});
document.addEventListener("htmx:afterSettle", () => {
  current ??= document.getElementById("case-field").dataset.field;
  show();
});

// --- keys -------------------------------------------------------------------------------------

/** Chooses a conclusion; `undo` brings the one before back. */
function conclude(value) {
  const form = document.getElementById("own-call") ?? document.getElementById("sign");
  const choice = form?.querySelector(`input[name=conclusion][value="${value}"]`);
  if (!choice) return;
  const before = form.querySelector("input[name=conclusion]:checked");
  if (before === choice) return;
  undoing.push(() => {
    if (before?.isConnected) before.click();
    else choice.checked = false;
  });
  choice.click();
}

const CLASSES = ["benign", "early_pre_b", "pre_b", "pro_b"];
const classes = CLASSES.map((label, at) => [`class${at + 1}`, () => name(label) || conclude(label)]);

keys({
  next_case: () => document.getElementById("next-case").click(),
  previous_case: () => document.getElementById("previous-case").click(),
  next_field: () => step(1),
  previous_field: () => step(-1),
  sheet: toggleSheet,
  outlines: () => toggle("outlines"),
  heat: () => toggle("heat"),
  ...Object.fromEntries(classes),
  undo: () => undoing.pop()?.(),
  sign: () => document.querySelector("#sign-password, #own-call-button")?.focus(),
});

// "Try again" is gone once pressed; the one who pressed it stays where they were.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.requestConfig.elt.matches(".verdict form")) return;
  if (!detail.successful) return location.reload();
  document.getElementById(`field-title-${current}`)?.focus();
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

/** Whether somebody is confirming, or writing why a reading goes back. */
function answering() {
  const boxes = "#case-actions form:not(#sign) :is(textarea, input:not([type=hidden]))";
  return [...document.querySelectorAll(boxes)].some((box) => box.value || box === document.activeElement);
}

let present = null;

/** Says what happened to the report under a signature: `news` is the part as it would stand now. */
function protect(news) {
  const { version, status } = news.dataset;
  const open = ["partial", "preliminary"].includes(status);
  const late = status !== "registered" && !(open && news.querySelector("#sign"));
  document.getElementById("sign-late").hidden = !late;
  present = version;
  const { value } = document.getElementById("sign").version;
  document.getElementById("sign-changed").hidden = late || !open || value === version;
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target.id === "case-fields" && current) point(detail.fragment);
  // Asked for before somebody turned to another field.
  const late = detail.fragment.querySelector("#case-field")?.dataset.field;
  if (detail.target.id === "case-field" && current && late !== current) detail.shouldSwap = false;
  // A page that has grown old under them is refused, and shown anew.
  if (detail.target.id === "case-actions" && answering()) detail.shouldSwap = false;
  else if (detail.target.id === "case-actions" && begun()) {
    detail.shouldSwap = false;
    protect(detail.fragment.querySelector("#case-actions"));
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
