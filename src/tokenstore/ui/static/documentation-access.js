// What Swagger UI lacks for people who use a keyboard or a screen reader: one main part of the page, no link within a
// button, and names, levels and reach for what has none. Loaded before documentation.js.
"use strict";

const Accessible = ({ React: { createElement } }) => ({
  wrapComponents: {
    // The button around it opens the operation, and the address follows.
    DeepLink:
      () =>
      ({ text }) =>
        createElement("span", null, text),
  },
  components: {
    // As BaseLayout once the document is there, without a second <main> and without a choice of one server.
    PageLayout: ({ getComponent, specSelectors }) => {
      const part = (name, className) => createElement("div", { className }, createElement(getComponent(name, true)));
      if (!specSelectors.specStr() || specSelectors.loadingStatus() !== "success") {
        return createElement(getComponent("BaseLayout", true));
      }
      return createElement(
        "div",
        { className: "swagger-ui" },
        createElement(getComponent("SvgAssets")),
        part("errors", "wrapper"),
        part("InfoContainer", "information-container wrapper"),
        createElement("div", { className: "scheme-container" }, part("AuthorizeBtnContainer", "schemes wrapper")),
        part("operations", "wrapper"),
        part("Models", "wrapper"),
      );
    },
  },
});

const within = (element, place, part) => element.closest(place)?.querySelector(part)?.textContent.trim() ?? "";

const parameterName = (element) =>
  element.closest("[data-param-name]")?.dataset.paramName || within(element, "tr", ".parameter__name") || "Value";

const operationName = (element) =>
  `${within(element, ".opblock", ".opblock-summary-method")} ${within(element, ".opblock", ".opblock-summary-path")}`;

const NAMES = [
  [".close-modal", () => "Close"],
  [".examples-select-element", (element) => `Example for ${within(element, "tr", ".response-col_status")}`],
  ["textarea.body-param__text", () => "Body of the request"],
  [".parameters :is(input, select, textarea)", parameterName],
  [".auth-container :is(input, select)", (element) => within(element, ".auth-container", "h4")],
  ["table.responses-table", (element) => `Answers of ${operationName(element)}`],
  ["table.live-responses-table", (element) => `Answer of ${operationName(element)}`],
];

const hasName = (element) => element.hasAttribute("aria-label") || element.labels?.length > 0;

// Swagger UI leaves out the second level: its headings are h1, then h3 and lower ones.
const raise = (heading) => heading.setAttribute("aria-level", String(Number(heading.tagName.slice(1)) - 1));

const mend = (place) => {
  for (const [selector, name] of NAMES) {
    for (const element of place.querySelectorAll(selector)) {
      if (!hasName(element)) {
        element.setAttribute("aria-label", name(element));
      }
    }
  }
  place.querySelectorAll(":is(h3, h4, h5):not([aria-level])").forEach(raise);
  place.querySelectorAll("pre.microlight:not([tabindex])").forEach((text) => text.setAttribute("tabindex", "0"));
};

// The dialog "Authorize" takes the focus, keeps it while it is open, and gives it back.
const keepFocus = (place) => {
  let isOpen = false;
  // What had the focus last outside of the dialog. Swagger UI gives it to a field in there before anybody is told.
  let opener = null;
  document.addEventListener("focusin", ({ target }) => {
    opener = target.closest(".modal-ux") ? opener : target;
  });
  place.addEventListener("keydown", (event) => {
    const reachable = [...place.querySelectorAll(".modal-ux :is(button, input, select, a[href])")];
    const [last, next] = event.shiftKey ? [reachable[0], reachable.at(-1)] : [reachable.at(-1), reachable[0]];
    if (event.key === "Tab" && last && event.target === last) {
      event.preventDefault();
      next.focus();
    }
  });
  return () => {
    const dialog = place.querySelector(".modal-ux");
    if (dialog && !isOpen) {
      isOpen = true;
      dialog.setAttribute("role", "dialog");
      dialog.setAttribute("aria-modal", "true");
      dialog.setAttribute("aria-label", "Available authorizations");
      dialog.querySelector(".close-modal").focus();
    } else if (!dialog && isOpen) {
      isOpen = false;
      opener?.focus();
    }
  };
};

const keepAccessible = (place) => {
  const followDialog = keepFocus(place);
  const follow = () => {
    mend(place);
    followDialog();
  };
  new MutationObserver(follow).observe(place, { childList: true, subtree: true });
};
