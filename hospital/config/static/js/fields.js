// Where the server keeps what belongs to a field of the case.

const page = document.getElementById("case");

/**
 * @param {"part" | "original" | "cells" | "call"} what its words, its picture, its outlined cells,
 *   and where a reader's word on one of them goes
 */
export function addressOf(what, field) {
  return page.dataset[what].replace(page.dataset.anyField, field);
}
