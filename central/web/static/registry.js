// Pick lists and the grid of a tariff's posts, wherever such a form is shown, also when it came later.

// a pick list: <div data-pick="kind"> with a hidden field, a text field and a list
const waiting = new WeakMap();

const parts = (box) => ({ hidden: box.querySelector("input[type=hidden]"), input: box.querySelector("[role=combobox]"), list: box.querySelector("[role=listbox]") });
const close = (box) => { const { input, list } = parts(box); list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };

async function offer(box) {
  const { input, list } = parts(box);
  const asked = input.value;
  const answer = await fetch(`/registry/pick/${box.dataset.pick}?q=${encodeURIComponent(asked)}`, { headers: { accept: "text/html" } });
  if (!answer.ok || input.value !== asked || document.activeElement !== input) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  list.replaceChildren(...found.body.children);
  list.querySelectorAll("[role=option]").forEach((option, at) => { option.id = `${list.id}-${at}`; });
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
}

function choose(box, option) {
  const { hidden, input } = parts(box);
  hidden.value = option.dataset.key;
  input.value = option.dataset.title;
  close(box);
  hidden.dispatchEvent(new Event("picked", { bubbles: true }));
}

function move(box, step) {
  const { input, list } = parts(box);
  const options = [...list.querySelectorAll("[role=option]")];
  if (!options.length) return;
  const at = options.findIndex((option) => option.ariaSelected === "true");
  options[at]?.setAttribute("aria-selected", "false");
  const next = options[(at + step + options.length) % options.length];
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", next.id);
}

document.addEventListener("input", (event) => {
  const box = event.target.closest?.("[data-pick]");
  if (!box || event.target.type === "hidden") return;
  const { hidden, input } = parts(box);
  hidden.value = "";
  clearTimeout(waiting.get(box));
  waiting.set(box, setTimeout(() => offer(box), 150));
  if (!input.value) hidden.dispatchEvent(new Event("picked", { bubbles: true }));
});
document.addEventListener("focusin", (event) => {
  const box = event.target.closest?.("[data-pick]");
  if (box && event.target.matches("[role=combobox]") && !event.target.value) offer(box);
});
document.addEventListener("focusout", (event) => {
  const box = event.target.closest?.("[data-pick]");
  if (box && !box.contains(event.relatedTarget)) setTimeout(() => close(box), 120);
});
document.addEventListener("mousedown", (event) => {
  const option = event.target.closest?.("[data-pick] [role=option]");
  if (!option) return;
  event.preventDefault();
  choose(option.closest("[data-pick]"), option);
});
document.addEventListener("keydown", (event) => {
  const box = event.target.closest?.("[data-pick]");
  if (!box || !event.target.matches("[role=combobox]")) return;
  const { list } = parts(box);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) offer(box); else move(box, event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && !list.hidden) {
    const option = list.querySelector("[aria-selected=true]") ?? list.querySelector("[role=option]");
    if (option) { event.preventDefault(); choose(box, option); }
  } else if (event.key === "Escape" && !list.hidden) { event.preventDefault(); close(box); }
});

// the posts of a tariff: 48 half hours a row, painted with the post that is chosen
const brush = (grid) => grid.querySelector("input[type=radio]:checked");
function paint(cell) {
  const row = cell.closest(".tariff-row");
  const chosen = brush(cell.closest("[data-tariff]"));
  const store = row.querySelector("input");
  const at = Number(cell.dataset.at);
  store.value = store.value.slice(0, at) + chosen.value + store.value.slice(at + 1);
  dress(cell, chosen.value, chosen.closest("label").textContent.trim());
}
function dress(cell, letter, words) {
  const at = Number(cell.dataset.at);
  const time = `${String(Math.floor(at / 2)).padStart(2, "0")}:${at % 2 ? "30" : "00"}`;
  cell.className = `tariff-cell tariff-${letter}`;
  cell.title = `${time} ${words}`;
  cell.setAttribute("aria-label", `${cell.closest(".tariff-row").dataset.row} ${time}: ${words}`);
}
export function mountTariffs(root) {
  for (const grid of root.querySelectorAll("[data-tariff]:not([data-mounted])")) {
    grid.dataset.mounted = "1";
    const words = Object.fromEntries([...grid.querySelectorAll("input[type=radio]")].map((one) => [one.value, one.closest("label").textContent.trim()]));
    for (const row of grid.querySelectorAll(".tariff-row")) {
      [...row.querySelector("input").value].forEach((letter, at) => {
        const cell = document.createElement("button");
        cell.type = "button";
        cell.dataset.at = at;
        cell.tabIndex = at ? -1 : 0;
        row.append(cell);
        dress(cell, letter, words[letter]);
      });
    }
    grid.addEventListener("pointerdown", (event) => { const cell = event.target.closest(".tariff-cell"); if (cell && event.pointerType !== "touch") { event.preventDefault(); cell.focus(); paint(cell); } });
    grid.addEventListener("pointerover", (event) => { const cell = event.target.closest(".tariff-cell"); if (cell && event.buttons === 1 && event.pointerType !== "touch") paint(cell); });
    grid.addEventListener("click", (event) => { const cell = event.target.closest(".tariff-cell"); if (cell) paint(cell); });
    grid.addEventListener("keydown", (event) => {
      const cell = event.target.closest(".tariff-cell");
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!cell || !step) return;
      const next = cell.parentElement.querySelector(`[data-at="${Number(cell.dataset.at) + step}"]`);
      if (next) { event.preventDefault(); cell.tabIndex = -1; next.tabIndex = 0; next.focus(); }
    });
  }
}
