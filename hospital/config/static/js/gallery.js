// The gallery: the cells of the shown field, or of all fields, under the class that they go by, the
// uncertain first. A reader names a cell by the buttons, by key, or by dragging it to another group;
// each call can be taken back.

import { addressOf } from "./fields.js";
import { mark } from "./viewer.js";

const gallery = document.getElementById("gallery");
const groups = document.getElementById("gallery-groups");
const menu = document.getElementById("cell-menu");
const said = document.getElementById("cell-told");
const note = document.getElementById("gallery-note");
const all = document.getElementById("gallery-all");
const words = gallery.dataset;
const labels = [...menu.querySelectorAll("[data-label]")];
const names = Object.fromEntries(labels.map((button) => [button.dataset.label, button.textContent]));
const ORDER = [...new Set(["uncertain", ...Object.keys(names)])];
const TILE = 72;

/** What `u` takes back, the last thing last. */
export const undoing = [];

const fields = new Map(); // what is known of each field's cells
let shown = "";
let whole = false; // the cells of all fields
let chosen = null; // {field, number}
let dragged = null; // {known, number}

// --- what is known ----------------------------------------------------------------------------

function picks() {
  return [...document.querySelectorAll(".pick")];
}

/** Whether the cells of a field were outlined. */
function isDrawn(field) {
  return document.getElementById(`pick-${field}`)?.dataset.drawn === "yes";
}

function callOn(known, number) {
  return known.calls.find((call) => call.cell === number);
}

function labelOf(known, number) {
  return callOn(known, number)?.label ?? known.group;
}

function remember(found) {
  found.label = document.getElementById(`pick-${found.field}`)?.querySelector(".pick-name")
    ?.textContent ?? "";
  fields.set(found.field, found);
}

/** Somebody named a cell, perhaps another reader one of those on show. */
async function refresh() {
  const field = shown;
  const answer = isDrawn(field) && (await fetch(addressOf("cells", field)).catch(() => null));
  if (!answer?.ok || field !== shown) return;
  remember({ field, ...(await answer.json()) });
  draw();
}

async function fetchAll() {
  whole = true;
  all.hidden = true;
  const drawn = picks().map((one) => one.dataset.field).filter(isDrawn);
  const wanted = drawn.filter((field) => !fields.has(field));
  note.textContent = words.fetching.replace("%n", wanted.length);
  let lost = 0;
  for (const field of wanted) {
    const answer = await fetch(addressOf("cells", field)).catch(() => null);
    if (answer?.ok) remember({ field, ...(await answer.json()) });
    else lost += 1;
  }
  note.textContent = lost ? words.left.replace("%n", lost) : "";
  draw();
}

// --- drawing ----------------------------------------------------------------------------------

function draw() {
  if (dragged) return; // its end draws: a cell that is taken away under the hand cannot be dropped
  const focused = document.activeElement?.closest(".cell")?.id;
  const known = [...fields.values()].filter((one) => whole || one.field === shown);
  const cells = known.flatMap((one) => one.cells.map((_, number) => ({ known: one, number })));
  gallery.hidden = !cells.length && !whole;
  all.hidden = whole || picks().length < 2;
  groups.replaceChildren(
    ...ORDER.map((label) => [label, cells.filter((one) => labelOf(one.known, one.number) === label)])
      .filter(([, members]) => members.length)
      .map(([label, members]) => group(label, members)),
  );
  if (focused) document.getElementById(focused)?.focus();
  tell();
}

function group(label, members) {
  const part = document.createElement("section");
  part.dataset.group = label;
  const title = document.createElement("h3");
  title.textContent = `${names[label]} (${members.length})`;
  const list = document.createElement("ul");
  list.className = "cells";
  list.append(...members.map(tile));
  part.append(title, list);
  return part;
}

function tile({ known, number }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const call = callOn(known, number);
  button.type = "button";
  button.draggable = known.may_call;
  button.className = "cell";
  button.id = `cell-${known.field}-${number}`;
  button.dataset.field = known.field;
  button.dataset.number = number;
  button.setAttribute("aria-pressed", String(isChosen(known.field, number)));
  button.setAttribute("aria-label", [placed(known, number), spoken(call)].join(": "));
  if (call) button.classList.add("is-named");
  button.append(crop(known, known.cells[number]));
  item.append(button);
  return item;
}

function placed(known, number) {
  return words.cell.replace("%c", number + 1).replace("%f", known.label);
}

function spoken(call) {
  if (!call) return words.unnamed;
  return words.named.replace("%l", names[call.label]).replace("%w", call.by);
}

/** The cell cut out of its field, with some surroundings. */
function crop(known, { outline }) {
  const canvas = document.createElement("canvas");
  const dense = Math.min(2, window.devicePixelRatio || 1);
  canvas.width = canvas.height = TILE * dense;
  const xs = outline.filter((_, at) => at % 2 === 0);
  const ys = outline.filter((_, at) => at % 2 === 1);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const side = 1.4 * Math.max(right - left, bottom - top, 8);
  const from = [(left + right - side) / 2, (top + bottom - side) / 2];
  pictureOf(known.field).then((picture) => {
    const scale = picture.naturalWidth / known.width;
    const brush = canvas.getContext("2d");
    brush.drawImage(
      picture, from[0] * scale, from[1] * scale, side * scale, side * scale,
      0, 0, canvas.width, canvas.height,
    );
  }, () => {}); // the field itself says that its picture is lost
  return canvas;
}

const pictures = new Map();

function pictureOf(field) {
  if (!pictures.has(field)) {
    const picture = new Image();
    picture.src = addressOf("original", field);
    pictures.set(field, picture.decode().then(() => picture));
  }
  return pictures.get(field);
}

// --- choosing and naming ----------------------------------------------------------------------

function isChosen(field, number) {
  return chosen?.field === field && chosen.number === number;
}

function choose(field, number) {
  chosen = isChosen(field, number) ? null : { field, number };
  for (const one of groups.querySelectorAll(".cell")) {
    const same = isChosen(one.dataset.field, Number(one.dataset.number));
    one.setAttribute("aria-pressed", String(same));
  }
  mark(chosen?.field === shown ? chosen.number : -1);
  tell();
  const detail = chosen ? `${addressOf("cells", chosen.field)}${chosen.number}/alike/` : "";
  document.dispatchEvent(new CustomEvent("leukolens:alike", { detail }));
}

function tell() {
  const known = fields.get(chosen?.field);
  menu.hidden = !known;
  if (!known) return;
  const { diameter, roundness, density } = known.cells[chosen.number];
  const size = words.size.replace("%d", diameter).replace("%r", roundness).replace("%t", density);
  const call = callOn(known, chosen.number);
  said.textContent = `${placed(known, chosen.number)} (${size}): ${spoken(call)}`;
  for (const button of labels) {
    button.disabled = !known.may_call;
    button.setAttribute("aria-pressed", String(call?.label === button.dataset.label));
  }
  document.getElementById("cell-undo").hidden = !call?.own || !known.may_call;
}

/** Names the chosen cell; false when none is chosen or it may not be named. */
export function name(label) {
  const known = fields.get(chosen?.field);
  if (!known?.may_call) return false;
  store(known, chosen.number, label);
  return true;
}

async function store(known, number, label) {
  const part = { cell: number, label, analysis: known.analysis };
  const call = await post(addressOf("call", known.field), part);
  if (!call) return;
  replace(known, number, call);
  undoing.push(() => takeBack(known, call));
}

async function takeBack(known, { id, cell }) {
  const left = await post(words.undo.replace(words.anyCall, id), {});
  if (left) replace(known, cell, left.call);
}

function replace(known, number, call) {
  known.calls = known.calls.filter((one) => one.cell !== number);
  if (call) known.calls.push(call);
  draw();
}

/** The answer, or null when it was refused, which is then said. */
async function post(address, fieldsOfForm) {
  const body = new FormData(menu);
  for (const [key, value] of Object.entries(fieldsOfForm)) body.set(key, value);
  const answer = await fetch(address, { method: "POST", body }).catch(() => null);
  const told = await answer?.json().catch(() => null);
  note.textContent = answer?.ok ? "" : (told?.detail ?? words.failed);
  return answer?.ok ? told : null;
}

// --- dragging ---------------------------------------------------------------------------------

groups.addEventListener("dragstart", ({ target, dataTransfer }) => {
  const cell = target.closest?.(".cell");
  if (!cell) return;
  dragged = { known: fields.get(cell.dataset.field), number: Number(cell.dataset.number) };
  dataTransfer.effectAllowed = "move";
  dataTransfer.setData("text/plain", cell.getAttribute("aria-label"));
  window.setTimeout(offer); // Chromium gives up a drag under which the page moves at once
});

/** Shows the groups that have no cell yet, too, for as long as a cell is dragged. */
function offer() {
  if (!dragged) return;
  const there = new Set([...groups.children].map((part) => part.dataset.group));
  groups.append(...ORDER.filter((label) => !there.has(label)).map((label) => group(label, [])));
  groups.classList.add("is-offered");
}

function over(zone) {
  for (const one of gallery.querySelectorAll(".is-over")) one.classList.remove("is-over");
  zone?.classList.add("is-over");
}

function zoneOf({ target }) {
  return dragged && target.closest("#gallery-groups [data-group], #cell-menu [data-label]");
}

gallery.addEventListener("dragover", (event) => {
  const zone = zoneOf(event);
  over(zone);
  if (zone) event.preventDefault();
});
gallery.addEventListener("drop", (event) => {
  const zone = zoneOf(event);
  if (!zone) return;
  event.preventDefault();
  const { known, number } = dragged;
  const label = zone.dataset.group ?? zone.dataset.label;
  if (label !== labelOf(known, number)) store(known, number, label);
});
groups.addEventListener("dragend", () => {
  dragged = null;
  over(null);
  groups.classList.remove("is-offered");
  draw();
});

// --- hands ------------------------------------------------------------------------------------

groups.addEventListener("click", ({ target }) => {
  const cell = target.closest(".cell");
  if (cell) choose(cell.dataset.field, Number(cell.dataset.number));
});
menu.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-label]");
  if (button) name(button.dataset.label);
  if (!target.closest("#cell-undo") || !chosen) return;
  const known = fields.get(chosen.field);
  takeBack(known, callOn(known, chosen.number));
});
menu.addEventListener("submit", (event) => event.preventDefault());
// Lets go of the cell, so that the class keys are the report's again.
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && chosen && !document.querySelector("dialog[open]")) choose(chosen.field, chosen.number);
});
all.addEventListener("click", fetchAll);
document.addEventListener("leukolens:field", ({ detail }) => {
  shown = detail;
  if (!whole) chosen = null;
  draw();
});
document.addEventListener("leukolens:cells", ({ detail }) => {
  shown = detail.field;
  remember(detail);
  draw();
  mark(chosen?.field === shown ? chosen.number : -1);
});
document.addEventListener("leukolens:event", ({ detail }) => {
  if (detail.kind === "report.looked_at" && detail.subject === words.report) refresh();
});
document.addEventListener("leukolens:cell", ({ detail }) => choose(shown, detail));
