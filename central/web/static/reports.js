// A report's page: the grid with its columns (sort, hide, pin, move, widen), and everything that goes by what is shown.
import { gridLibrary, speak } from "./grids.js";

const about = document.getElementById("report-about");
const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const safe = (text) => String(text ?? "").replace(/[&<>"]/g, (c) => escapes[c]);

filters();
if (about) gridLibrary().then(() => grid(JSON.parse(about.textContent), document.getElementById("report-grid")));

function grid(report, element) {
  const { words } = report;
  const known = new Map(report.columns.map((column) => [column.key, column]));
  const problem = document.getElementById("report-problem");
  const narrow = matchMedia("(max-width: 767.98px)").matches;

  const days = (column) => (cell) => `<span class="days" role="img" aria-label="${spoken(cell.getValue())}">${[...cell.getValue()]
    .map((state, at) => `<i class="day-${state}" title="${safe(column.days[at].title)}: ${state === "1" ? words.read : state === "0" ? words.unread : words.later}">${column.days[at].number}</i>`).join("")}</span>`;
  const spoken = (value) => safe(`${words.read}: ${value.split("1").length - 1}, ${words.unread}: ${value.split("0").length - 1}`);
  const serial = (cell) => {
    const key = cell.getData()._meter;
    return key ? `<a href="/meters/${encodeURIComponent(key)}">${safe(cell.getValue())}</a>` : safe(cell.getValue());
  };
  const plain = (cell) => `<span class="ellipsis" title="${safe(cell.getValue())}">${safe(cell.getValue())}</span>`;

  const move = (column, place) => {
    const others = table.getColumns().filter((each) => each !== column);
    column.updateDefinition({ frozen: place !== "" }).then((fresh) => {
      if (place === "left") fresh.move(others[0], false);
      if (place === "right") fresh.move(others.at(-1), true);
      shown();
    });
  };
  const menu = (column) => [
    ...(column.sort ? [
      { label: `↑ ${words.up}`, action: (_e, cell) => table.setSort(cell.getField(), "asc") },
      { label: `↓ ${words.down}`, action: (_e, cell) => table.setSort(cell.getField(), "desc") },
      { separator: true },
    ] : []),
    { label: `× ${words.hide}`, action: (_e, cell) => { cell.hide(); choices(); shown(); } },
    { label: `⇤ ${words.left}`, action: (_e, cell) => move(cell, "left") },
    { label: `⇥ ${words.right}`, action: (_e, cell) => move(cell, "right") },
    { label: `◦ ${words.free}`, action: (_e, cell) => move(cell, "") },
  ];

  const saved = new Map((report.view?.columns ?? []).map((column, at) => [column.key, { ...column, at }]));
  const first = report.columns[0].key === "serial" ? "serial" : "";
  const order = report.columns.map((column, at) => ({ column, at: saved.size ? (saved.get(column.key)?.at ?? 1000 + at) : at }))
    .sort((a, b) => a.at - b.at).map(({ column }) => column);
  const columns = order.map((column) => ({
    title: column.title,
    field: column.key,
    formatter: column.kind === "days" ? days(column) : column.key === "serial" ? serial : plain,
    headerSort: column.sort && column.kind !== "days",
    headerMenu: menu(column),
    hozAlign: column.right ? "right" : "left",
    headerHozAlign: column.right ? "right" : "left",
    visible: report.grouped.includes(column.key) ? false : saved.size ? saved.has(column.key) : !column.hidden,
    frozen: saved.size ? Boolean(saved.get(column.key)?.pin) : column.key === first,
    width: saved.get(column.key)?.width ?? (narrow && column.key === "serial" ? column.least : column.width),
    minWidth: 60,
  }));
  const sort = report.view?.sort ?? "";
  let by = sort; // as the rows before the reader are sorted
  const table = new Tabulator(element, {
    layout: "fitDataFill",
    columns,
    nestedFieldSeparator: false,
    columnDefaults: { resizable: "header", headerSortTristate: true },
    movableColumns: true,
    sortMode: "remote",
    initialSort: sort ? [{ column: sort.replace(/^-/, ""), dir: sort.startsWith("-") ? "desc" : "asc" }] : [],
    pagination: true,
    paginationMode: "remote",
    paginationSize: report.view?.size ?? (report.grouped.length ? 1 : 25),
    paginationSizeSelector: report.grouped.length ? [1, 5, 10, 25] : [25, 50, 100, 200],
    paginationCounter: (size, _row, page, total) => `${total.toLocaleString(document.documentElement.lang)} ${report.counted}`,
    ajaxURL: element.dataset.source,
    ajaxURLGenerator: (url, _config, params) => {
      const query = new URLSearchParams(element.dataset.query);
      query.set("page", params.page);
      query.set("size", params.size);
      const asked = params.sort?.find((each) => each.field);
      if (asked || !params.sort?.length) by = asked ? (asked.dir === "desc" ? "-" : "") + asked.field : "";
      if (by) query.set("sort", by);
      return `${url}?${query}`;
    },
    ajaxRequestFunc: async (url, _config, params) => {
      const answer = await fetch(table.options.ajaxURLGenerator(url, {}, params), { headers: { accept: "application/json" } });
      const body = await answer.json().catch(() => ({}));
      problem.classList.toggle("d-none", answer.ok);
      if (answer.ok) return body;
      problem.textContent = body.detail ?? `${words.failed} ${answer.status}`;
      return { last_page: 1, last_row: 0, data: [] };
    },
    groupBy: report.grouped.length ? (row) => report.grouped.map((key) => row[key]).join("\u0000") : false,
    groupHeader: (value) => `<span role="gridcell">${value.split("\u0000").map(safe).join(" · ")}</span>`,
    footerElement: "#report-foot",
    dataLoader: false,
    placeholder: words.empty,
    locale: "page",
    langs: { page: { pagination: {
      first: "«", last: "»", prev: "‹", next: "›", first_title: words.first_title, last_title: words.last_title,
      prev_title: words.prev_title, next_title: words.next_title, page_title: words.page, page_size: words.rows, all: words.all,
      counter: { showing: "", of: words.of, rows: report.counted, pages: "" },
    } } },
  });
  element.table = table;
  table.on("renderComplete", () => speak(element));
  table.on("dataLoaded", () => { element.dataset.drawn = "1"; shown(); });
  for (const change of ["columnMoved", "columnResized", "columnVisibilityChanged", "dataSorting"]) table.on(change, () => setTimeout(shown));
  table.on("tableBuilt", () => { choices(); shown(); });

  // what is shown goes into links, forms and saved views
  function shown() {
    const visible = table.getColumns().filter((column) => column.isVisible() || report.grouped.includes(column.getField()));
    const keys = visible.map((column) => column.getField());
    for (const link of document.querySelectorAll("[data-report-export]")) {
      const query = new URLSearchParams(element.dataset.query);
      query.set("format", link.dataset.reportExport);
      query.set("columns", keys.join(","));
      if (by) query.set("sort", by);
      link.href = `/reports/${report.report}/export?${query}`;
    }
    for (const input of document.querySelectorAll("[data-report-columns]")) input.value = keys.join(",");
    for (const input of document.querySelectorAll("[data-report-sort]")) input.value = by;
    const half = visible.length / 2;
    const view = {
      columns: visible.map((column, at) => ({
        key: column.getField(), width: Math.round(column.getWidth() || known.get(column.getField()).width),
        pin: column.getDefinition().frozen ? (at < half ? "left" : "right") : "",
      })),
      sort: by, size: table.getPageSize(),
    };
    for (const input of document.querySelectorAll("[data-report-view]")) input.value = JSON.stringify(view);
  }

  function choices() {
    const list = document.getElementById("report-columns");
    list.replaceChildren(...report.columns.filter((column) => !report.grouped.includes(column.key)).map((column) => {
      const line = Object.assign(document.createElement("div"), { className: "report-column" });
      const row = Object.assign(document.createElement("label"), { className: "form-check" });
      const box = Object.assign(document.createElement("input"), { type: "checkbox", className: "form-check-input", checked: table.getColumn(column.key).isVisible() });
      box.addEventListener("change", () => { table[box.checked ? "showColumn" : "hideColumn"](column.key); shown(); });
      const name = Object.assign(document.createElement("span"), { className: "form-check-label", textContent: column.title });
      row.append(box, name);
      // what the headings' menus do, for the keyboard
      const act = (sign, words_, action) => {
        const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-ghost-secondary", textContent: sign, title: words_ });
        button.setAttribute("aria-label", `${words_}: ${column.title}`);
        button.addEventListener("click", action);
        line.append(button);
      };
      line.append(row);
      if (column.sort) {
        act("↑", words.up, () => table.setSort(column.key, "asc"));
        act("↓", words.down, () => table.setSort(column.key, "desc"));
      }
      act("⇤", words.left, () => move(table.getColumn(column.key), "left"));
      act("◦", words.free, () => move(table.getColumn(column.key), ""));
      return line;
    }));
  }
}

// filters: month or days, lists to choose from, nothing empty in the address
function filters() {
  const panel = document.querySelector("[data-filters]");
  const form = document.querySelector("[data-report-form]");
  if (!form) return;
  if (matchMedia("(max-width: 767.98px)").matches && about) panel.open = false;
  const period = form.querySelector("[data-period]");
  if (period) {
    const radios = [...period.querySelectorAll("[data-period-of]")];
    const apply = (chosen) => {
      for (const radio of radios) radio.checked = radio.dataset.periodOf === chosen;
      for (const part of period.querySelectorAll("[data-period-fields]")) {
        part.hidden = part.dataset.periodFields !== chosen;
        for (const input of part.querySelectorAll("input")) input.disabled = part.hidden;
      }
    };
    for (const radio of radios) radio.addEventListener("change", () => apply(radio.dataset.periodOf));
    apply(radios.find((radio) => radio.checked).dataset.periodOf);
  }
  for (const picker of form.querySelectorAll("[data-picker]")) {
    const words = picker.querySelector("[data-picker-words]");
    picker.addEventListener("change", () => {
      const chosen = [...picker.querySelectorAll("input:checked")].map((input) => input.nextElementSibling.textContent);
      words.textContent = chosen.join(", ") || picker.dataset.all;
    });
    picker.querySelector("[data-picker-search]")?.addEventListener("input", (event) => {
      const text = event.target.value.toLocaleLowerCase();
      for (const row of picker.querySelectorAll(".form-check")) row.hidden = !row.textContent.toLocaleLowerCase().includes(text);
    });
    picker.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      picker.open = false;
      picker.querySelector("summary").focus();
    });
  }
  document.addEventListener("click", (event) => {
    for (const picker of form.querySelectorAll("[data-picker][open]")) if (!picker.contains(event.target)) picker.open = false;
  });
  form.addEventListener("submit", () => {
    for (const input of form.querySelectorAll("input, select")) if (!input.value && input.name) input.disabled = true;
  });
  window.addEventListener("pageshow", () => {
    for (const input of form.querySelectorAll("input, select")) if (!input.closest("[hidden]")) input.disabled = false;
  });
}

// how often: only the day that belongs to it
for (const select of document.querySelectorAll("[data-cadence]")) {
  const apply = () => {
    for (const part of select.form.querySelectorAll("[data-cadence-of]")) part.hidden = part.dataset.cadenceOf !== select.value;
  };
  select.addEventListener("change", apply);
  apply();
}
