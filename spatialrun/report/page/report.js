"use strict";
const one = (selector) => document.querySelector(selector);

// The theme is the system's until the reader chooses another.
const theme = one("#theme");
const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const nameTheme = () => { theme.textContent = dark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
theme.hidden = false;
nameTheme();

// A link to a step opens it.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (!target || !("step" in target.dataset)) return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
};
addEventListener("hashchange", open);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
document.querySelectorAll(".flow a").forEach((each) => each.addEventListener("click", () => setTimeout(open)));
open();

const dialog = one("#enlarged");
document.querySelectorAll(".enlarge").forEach((button) => button.addEventListener("click", () => {
  const [small, large] = [button.querySelector("img"), dialog.querySelector("img")];
  large.src = small.src;
  large.alt = small.alt;
  dialog.showModal();
}));
dialog?.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

const tables = JSON.parse(one("#data").textContent);
if (tables.length) {
  const PAGE = 25;
  const [which, query, found, place, more] = ["#which", "#query", "#found", "#browsed", "#more"].map(one);
  const state = { shown: PAGE, column: null, descending: false };
  const number = new Intl.NumberFormat("en");

  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);  // what is missing comes last, either way
    const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return state.descending ? -order : order;
  };
  const text = (value) => value === null ? "" : typeof value === "boolean" ? (value ? "yes" : "no") : String(value);

  const selected = () => {
    const { rows } = tables[which.value];
    const words = query.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length
      ? rows.filter((row) => words.every((word) => row.some((value) => typeof value === "string" && value.toLowerCase().includes(word))))
      : [...rows];
    if (state.column !== null) hits.sort((a, b) => compare(a[state.column], b[state.column]));
    return hits;
  };

  const show = () => {
    const { columns, rows, total } = tables[which.value];
    const hits = selected();
    const numeric = columns.map((_, index) => rows.some((row) => typeof row[index] === "number"));
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    columns.forEach((name, index) => {
      const cell = document.createElement("th");
      const button = document.createElement("button");
      cell.scope = "col";
      const sorted = state.column === index;
      if (sorted) cell.ariaSort = state.descending ? "descending" : "ascending";
      if (numeric[index]) cell.className = "number";
      button.type = "button";
      button.textContent = name + (sorted ? (state.descending ? " ↓" : " ↑") : "");
      button.addEventListener("click", () => {
        state.descending = sorted && !state.descending;
        state.column = index;
        show();
        place.querySelectorAll("th button")[index].focus();
      });
      cell.append(button);
      head.append(cell);
    });
    const body = table.createTBody();
    hits.slice(0, state.shown).forEach((row) => {
      const line = body.insertRow();
      row.forEach((value, index) => {
        const cell = index ? document.createElement("td") : document.createElement("th");
        if (!index) cell.scope = "row";
        cell.textContent = text(value);
        if (numeric[index]) cell.className = "number";
        line.append(cell);
      });
    });
    place.replaceChildren(table);
    const part = rows.length < total ? `, the first of ${number.format(total)}` : "";
    found.textContent = hits.length < rows.length
      ? `${number.format(hits.length)} of ${number.format(rows.length)} rows${part}`
      : `${number.format(rows.length)} rows${part}`;
    more.hidden = hits.length <= state.shown;
  };

  tables.forEach(({ title, sample }, index) => {
    which.add(new Option(sample === "_cohort" ? title : `${title}, ${sample}`, index));
  });
  which.addEventListener("change", () => { Object.assign(state, { shown: PAGE, column: null }); show(); });
  query.addEventListener("input", () => { state.shown = PAGE; show(); });
  more.addEventListener("click", () => { state.shown += 4 * PAGE; show(); });
  one("#browse").addEventListener("submit", (event) => event.preventDefault());
  one("#browse").hidden = false;
  show();
}
