// Before the first paint: light or dark, and whether the panel of trees is open: the person's choice, else the system's.
(() => {
  document.documentElement.dataset.panel = localStorage.getItem("mg-panel") || (innerWidth >= 1700 ? "open" : "folded");
  const key = "mg-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = localStorage.getItem(key) || (system.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("mg:theme", { detail: theme }));
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const dark = document.documentElement.dataset.bsTheme === "dark";
    localStorage.setItem(key, dark ? "light" : "dark");
    apply();
  });
})();
