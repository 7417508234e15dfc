"use strict";
// Without this script the page is whole: it only sorts and filters tables. It puts text into the
// page by textContent alone.
(() => {
  const FEW = 8; // rows below which a filter helps nobody
  const buttons = new Map(); // by head cell
  const words = new Intl.Collator("en", { numeric: true });

  function key(row, column) {
    const cell = row.cells[column];
    if (!cell.classList.contains("number")) return cell.textContent;
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : null;
  }

  // What has no number stands last, in whichever direction.
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "number" ? a - b : words.compare(a, b));
  }

  function sorter(table) {
    const body = table.tBodies[0];
    const printed = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      buttons.set(head, button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = next[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const keyed = printed.map((row) => [row, key(row, column)]);
        if (order !== "none") keyed.sort((a, b) => compare(a[1], b[1], sign));
        body.append(...keyed.map(([row]) => row));
      });
    });
  }

  function filter(table, region) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < FEW) return;
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const box = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("span");
    box.className = "filter";
    input.type = "search";
    input.id = `${region.id}-filter`;
    input.setAttribute("aria-controls", region.id);
    label.htmlFor = input.id;
    label.textContent = "Filter rows (all words must occur)";
    count.setAttribute("role", "status");
    count.textContent = `${rows.length} rows`;
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, at) => {
        row.hidden = !wanted.every((word) => texts[at].includes(word));
        if (!row.hidden) shown += 1;
      });
      count.textContent = wanted.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
    });
    box.append(label, input, count);
    region.before(box);
  }

  document.querySelectorAll(".scroll").forEach((region) => {
    const table = region.querySelector("table");
    sorter(table);
    filter(table, region);
  });

  // Paper cannot be clicked: all is open there, and heads are plain, since Chromium repeats no head
  // that holds a button on the next sheet.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
    buttons.forEach((button) => button.replaceWith(...button.childNodes));
  });
  addEventListener("afterprint", () => {
    closed.forEach((one) => { one.open = false; });
    buttons.forEach((button, head) => {
      button.append(...head.childNodes);
      head.append(button);
    });
  });
})();
