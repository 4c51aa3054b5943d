// The panel beside the menu: the search box and the two trees. Levels and hits come from the server; here is what keys
// and clicks do, and how the trees outlive a change of page.
const root = document.documentElement;
const panel = document.getElementById("panel");
const wide = matchMedia("(min-width: 992px)");
const KEPT = "mg-trees";
const FRESH = 600000; // ms that a kept tree is shown again
const EVERY = 30000; // ms between looks at the states on screen

function isOpen() {
  return wide.matches ? root.dataset.panel === "open" : root.dataset.drawer === "open";
}

function setOpen(open) {
  if (wide.matches) {
    root.dataset.panel = open ? "open" : "folded";
    localStorage.setItem("mg-panel", root.dataset.panel);
  } else {
    root.dataset.drawer = open ? "open" : "";
    document.querySelector(".page-wrapper").inert = open;
  }
  tell();
  if (open) openLevel(shownTree());
}

function tell() {
  for (const button of document.querySelectorAll("[data-panel-toggle][aria-expanded]")) button.setAttribute("aria-expanded", String(isOpen()));
}

function mountPanel() {
  tell();
  let opener = null;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-panel-toggle]");
    if (button) {
      opener = button;
      const view = button.dataset.panelToggle;
      setOpen(view ? true : !isOpen());
      if (view) chooseTab(view).focus();
      else if (isOpen()) document.getElementById("find").focus();
    } else if (event.target.closest("[data-panel-close]") || (!wide.matches && isOpen() && event.target === panel)) {
      setOpen(false);
      opener?.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, textarea, select, [contenteditable]")) {
      event.preventDefault();
      setOpen(true);
      document.getElementById("find").select();
    } else if (event.key === "Escape" && !wide.matches && isOpen()) {
      setOpen(false);
      opener?.focus();
    }
  });
  wide.addEventListener("change", () => {
    root.dataset.drawer = "";
    document.querySelector(".page-wrapper").inert = false;
    tell();
  });
}

function mountSearch(field, list) {
  const options = () => [...list.querySelectorAll("[role=option]")];
  const active = () => list.querySelector("[aria-selected=true]");
  const choose = (option) => {
    active()?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
  };
  const show = () => {
    const found = field.value.trim() !== "" && list.childElementCount > 0;
    list.hidden = !found;
    document.getElementById("trees").hidden = found;
    field.setAttribute("aria-expanded", String(found));
    choose(null);
  };
  list.addEventListener("htmx:afterSwap", show);
  field.addEventListener("input", () => field.value.trim() || (list.replaceChildren(), show()));
  field.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.indexOf(active());
    if (event.key === "ArrowDown" && all.length) choose(all[(at + 1) % all.length]);
    else if (event.key === "ArrowUp" && all.length) choose(all[(at <= 0 ? all.length : at) - 1]);
    else if (event.key === "ArrowDown") shownTree().querySelector("[role=treeitem][tabindex='0']")?.focus();
    else if (event.key === "Enter") (active() ?? all[0])?.click();
    else if (event.key === "Escape" && field.value) {
      field.value = "";
      list.replaceChildren();
      show();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
}

const shownTree = () => document.querySelector(".panel-tree:not([hidden]) [role=tree]");

function openLevel(list) {
  if (!list || list.childElementCount || !isOpen()) return;
  htmx.process(list); // what has just come is known to htmx only a moment later: a key pressed before that would be lost
  htmx.trigger(list, "open");
}

function chooseTab(view) {
  for (const tab of panel.querySelectorAll("[role=tab]")) {
    const here = tab.id === `tab-${view}`;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !here;
  }
  openLevel(shownTree());
  return document.getElementById(`tab-${view}`);
}

function mountTrees(trees) {
  recall(trees);
  addEventListener("pagehide", () => keep(trees));
  for (const tab of trees.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => chooseTab(tab.id.slice(4)));
    tab.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") chooseTab(tab.id === "tab-business" ? "communication" : "business").focus();
      else if (event.key === "ArrowDown") shownTree().querySelector("[role=treeitem]")?.focus();
      else return;
      event.preventDefault();
    });
  }
  for (const tree of trees.querySelectorAll("[role=tree]")) {
    tree.addEventListener("click", (event) => {
      const item = event.target.closest("[role=treeitem]");
      if (item) settle(tree, item);
      if (item?.hasAttribute("aria-expanded") && !event.target.closest("a")) toggle(item);
    });
    tree.addEventListener("focusin", (event) => event.target.matches("[role=treeitem]") && settle(tree, event.target));
    tree.addEventListener("keydown", (event) => press(tree, event));
    tree.addEventListener("htmx:afterSwap", () => arrived(tree));
    arrived(tree);
  }
  if (isOpen()) openLevel(shownTree());
  setInterval(() => refresh(trees), EVERY);
}

// a level has come: one item can be reached by Tab, and the page's own item is marked
function arrived(tree) {
  for (const link of tree.querySelectorAll(".node > a")) {
    const item = link.closest("[role=treeitem]");
    if (link.pathname === location.pathname) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  if (!tree.querySelector("[role=treeitem][tabindex='0']")) {
    const first = tree.querySelector("[role=treeitem][aria-current]") ?? tree.querySelector("[role=treeitem]");
    if (first) first.tabIndex = 0;
  }
  if (tree.dataset.focus) { // "more" was replaced by what it brought
    document.querySelector(`[data-node="${CSS.escape(tree.dataset.focus)}"]`)?.nextElementSibling?.focus();
    delete tree.dataset.focus;
  }
}

function settle(tree, item) {
  for (const other of tree.querySelectorAll("[role=treeitem][tabindex='0']")) other.tabIndex = -1;
  item.tabIndex = 0;
}

function toggle(item, open = item.getAttribute("aria-expanded") === "false") {
  item.setAttribute("aria-expanded", String(open));
  openLevel(open ? item.querySelector(":scope > [role=group]") : null);
}

const visible = (tree) => [...tree.querySelectorAll("[role=treeitem]")].filter((item) => !item.parentElement.closest("[aria-expanded='false']"));
let typed = "";
let pause;

function press(tree, event) {
  const item = event.target.closest("[role=treeitem]");
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = visible(tree);
  const at = all.indexOf(item);
  const open = item.getAttribute("aria-expanded");
  let to = null;
  if (event.key === "ArrowDown") to = all[at + 1];
  else if (event.key === "ArrowUp") to = all[at - 1];
  else if (event.key === "Home") to = all[0];
  else if (event.key === "End") to = all.at(-1);
  else if (event.key === "ArrowRight" && open === "false") toggle(item, true);
  else if (event.key === "ArrowRight" && open === "true") to = item.querySelector(":scope > [role=group] > [role=treeitem]");
  else if (event.key === "ArrowLeft" && open === "true") toggle(item, false);
  else if (event.key === "ArrowLeft") to = item.parentElement.closest("[role=treeitem]");
  else if (event.key === " " && open) toggle(item);
  else if (event.key === "Enter" || event.key === " ") {
    if (item.classList.contains("more")) tree.dataset.focus = item.previousElementSibling?.dataset.node ?? "";
    const link = item.querySelector(":scope > .node > a");
    if (link) link.click();
    else item.click();
  } else if (event.key.length === 1 && /\S/.test(event.key) && event.key !== "/") {
    clearTimeout(pause);
    pause = setTimeout(() => { typed = ""; }, 700);
    typed += event.key.toLowerCase();
    const from = typed.length > 1 ? at : at + 1;
    to = [...all.slice(from), ...all.slice(0, from)].find((other) => (other.dataset.name ?? "").toLowerCase().startsWith(typed));
  } else return;
  event.preventDefault();
  event.stopPropagation();
  to?.focus();
}

// what is on screen keeps its colour current
async function refresh(trees) {
  if (document.hidden || !isOpen() || trees.hidden || !shownTree()) return;
  const items = new Map(visible(shownTree()).filter((item) => /^[gm]\d+$/.test(item.dataset.node ?? "")).slice(0, 300).map((item) => [item.dataset.node, item]));
  if (!items.size) return;
  const answer = await fetch(`/tree/states?nodes=${[...items.keys()].join(",")}`).catch(() => null);
  if (!answer?.ok) return;
  for (const [node, [words, colour]] of Object.entries(await answer.json())) {
    const dot = items.get(node)?.querySelector(":scope > .node > .dot");
    if (!dot || dot.title === words) continue;
    dot.className = `dot bg-${colour}`;
    dot.title = words;
    dot.nextElementSibling.textContent = words;
  }
}

function keep(trees) {
  const kept = { key: trees.dataset.key, at: Date.now(), tab: trees.querySelector("[role=tab][aria-selected=true]").id.slice(4), html: {}, scroll: {} };
  for (const part of trees.querySelectorAll(".panel-tree")) {
    kept.html[part.id] = part.firstElementChild.innerHTML;
    kept.scroll[part.id] = part.scrollTop;
  }
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    sessionStorage.removeItem(KEPT); // too large: it is loaded again
  }
}

function recall(trees) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!kept || kept.key !== trees.dataset.key || Date.now() - kept.at > FRESH) return;
  for (const part of trees.querySelectorAll(".panel-tree")) {
    part.firstElementChild.innerHTML = kept.html[part.id] ?? "";
    htmx.process(part.firstElementChild);
  }
  chooseTab(kept.tab);
  for (const part of trees.querySelectorAll(".panel-tree")) part.scrollTop = kept.scroll[part.id] ?? 0;
  for (const item of trees.querySelectorAll("[aria-expanded=true]")) openLevel(item.querySelector(":scope > [role=group]"));
}

if (panel) {
  mountPanel();
  mountSearch(document.getElementById("find"), document.getElementById("found"));
  mountTrees(document.getElementById("trees"));
}
