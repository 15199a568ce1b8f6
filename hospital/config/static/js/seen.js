// Which fields were on this reader's screen. A report is signed only by who was shown all of them,
// so a field counts when its picture has loaded and was in view, in the tab in front, for LONG:
// on the stage (half of it is enough, as one zooms), or whole among all fields at once.
// That is what can be known here; whether somebody looked, nobody can tell.

import { addressOf } from "./fields.js";

const LONG = { stage: 1_000, sheet: 2_000 };
const AGAIN = 4_000;

const page = document.getElementById("case");
const scope = document.getElementById("scope");
const button = document.getElementById("sheet");
const token = document.querySelector("#layers [name=csrfmiddlewaretoken]");

const frame = document.getElementById("scope-frame");
const shares = new Map(); // how much of an element is in view
const timers = new Map(); // by field, while it is in view
const due = new Set(); // seen, and not yet told
const told = new Set();

const picks = () => [...page.querySelectorAll(".pick")];
const sheet = () => page.classList.contains("is-sheet");

// --- all fields at once -----------------------------------------------------------------------

/** Gives every field of the strip its whole picture, or its thumbnail back. */
function lay(on) {
  page.classList.toggle("is-sheet", on);
  button.setAttribute("aria-pressed", String(on));
  fill();
  judge();
}

function fill() {
  for (const pick of picks()) {
    const picture = pick.querySelector("img");
    picture.dataset.small ??= picture.getAttribute("src");
    const wanted = sheet() ? addressOf("original", pick.dataset.field) : picture.dataset.small;
    if (picture.getAttribute("src") !== wanted) picture.src = wanted;
    if (shares.has(picture)) continue;
    shares.set(picture, 0);
    picture.addEventListener("load", judge);
    eye.observe(picture);
  }
}

export function toggleSheet() {
  lay(!sheet());
}

// --- what is in view --------------------------------------------------------------------------

const eye = new IntersectionObserver(
  (changes) => {
    for (const { target, intersectionRatio } of changes) shares.set(target, intersectionRatio);
    judge();
  },
  { threshold: [0, 0.5, 0.98] },
);

/** The fields in view now, each with how long it has to stay so. */
function inView() {
  const now = new Map();
  if (document.hidden) return now;
  if (sheet()) {
    for (const pick of picks()) {
      const picture = pick.querySelector("img");
      const { field } = pick.dataset;
      const whole = picture.getAttribute("src") === addressOf("original", field) && picture.complete;
      if (whole && picture.naturalWidth && shares.get(picture) >= 0.98)
        now.set(field, LONG.sheet);
    }
  }
  const { painted } = frame.dataset; // the field whose picture the stage shows
  if (painted && shares.get(scope) >= 0.5) now.set(painted, LONG.stage);
  return now;
}

function judge() {
  const now = inView();
  for (const [field, timer] of timers) {
    if (now.has(field)) continue;
    window.clearTimeout(timer);
    timers.delete(field);
  }
  for (const [field, long] of now) {
    if (timers.has(field) || due.has(field) || isKnown(field)) continue;
    timers.set(field, window.setTimeout(() => tell(field), long));
  }
}

function isKnown(field) {
  const pick = document.getElementById(`pick-${field}`);
  return !pick || pick.dataset.seen === "yes";
}

// --- telling ----------------------------------------------------------------------------------

let telling = 0;

function tell(field) {
  timers.delete(field);
  due.add(field);
  telling ||= window.setTimeout(send, 100);
}

async function send() {
  const fields = [...due];
  const body = new FormData();
  body.set(token.name, token.value);
  for (const field of fields) body.append("image", field);
  const answer = await fetch(page.dataset.seenAt, {
    method: "POST",
    body,
    headers: { "HX-Request": "true" },
  }).catch(() => null);
  telling = 0;
  if (!answer?.ok || answer.redirected) {
    telling = window.setTimeout(send, AGAIN);
    return;
  }
  for (const field of fields) {
    due.delete(field);
    told.add(field);
    document.getElementById(`pick-${field}`)?.setAttribute("data-seen", "yes");
  }
  swap(await answer.text());
  if (due.size) telling ||= window.setTimeout(send, 100);
}

function swap(html) {
  const focused = document.activeElement?.id === "next-left";
  document.getElementById("fields-left").outerHTML = html;
  if (focused) document.getElementById("next-left")?.focus();
}

// --- hands ------------------------------------------------------------------------------------

document.addEventListener("leukolens:field", judge);
document.addEventListener("leukolens:painted", judge);
document.addEventListener("visibilitychange", judge);
// The strip was renewed: its pictures are others, but for those that were kept. What was asked for
// before something was told may come after it: it is told again.
document.addEventListener("htmx:afterSettle", () => {
  for (const field of told) if (!isKnown(field)) due.add(field);
  if (due.size) telling ||= window.setTimeout(send, 100);
  fill();
  judge();
});
button.addEventListener("click", toggleSheet);

button.hidden = picks().length < 2;
shares.set(scope, 0);
eye.observe(scope);
lay(page.dataset.sheet === "yes");
if (sheet()) picks()[0].scrollIntoView({ block: "nearest" });
