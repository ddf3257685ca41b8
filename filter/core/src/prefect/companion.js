// Lictor's companion in Prefect's pages. It shows who is signed in, offers sign-out, and returns to
// the same page after a login when the session has ended. It sends requests to its own origin only.
(() => {
  "use strict";
  const script = document.currentScript;
  if (!script || window.top !== window.self || window.lictorCompanion) return;
  window.lictorCompanion = true;
  const endpoints = new URL(script.src).pathname.replace(/\/[^/]*$/, "");
  const ask = window.fetch.bind(window);

  // An earlier login with a shared password may have left it in the storage. Nothing needs it, and
  // every script of the page could read it.
  try { localStorage.removeItem("prefect-password"); } catch { /* storage is off */ }

  /* Responses to requests of Prefect's pages. */

  const ours = (url) => { try { return new URL(url, location.href).origin === location.origin; } catch { return false; } };
  const observe = (status, url, read) => {
    if (!ours(url)) return;
    if (status === 401) { if (!question) check(); }
    // The body must be cloned immediately, before the page reads it.
    else if (status === 403) try { Promise.resolve(read()).then(explain, () => {}); } catch { /* the body is not JSON */ }
  };
  window.fetch = function (...given) {
    const answered = ask(...given);
    answered.then((answer) => observe(answer.status, answer.url, () => answer.clone().json()), () => {});
    return answered;
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...given) {
    this.addEventListener("load", () => observe(this.status, this.responseURL, () =>
      this.responseType === "json" ? this.response : JSON.parse(this.responseText)));
    return send.apply(this, given);
  };

  /* The session. */

  const who = async () => {
    const answer = await ask(`${endpoints}/userinfo`, { cache: "no-store", headers: { accept: "application/json" } });
    return { status: answer.status, person: answer.ok ? await answer.json() : null };
  };
  let checking = false;
  let again = false;
  // The page is about to unload. Responses no longer matter to it.
  let leaving = false;
  const check = async () => {
    if (leaving) return;
    // A request that is refused during a check may have been sent after it, so the session is
    // checked again.
    if (checking) { again = true; return; }
    [checking, again] = [true, false];
    try {
      const { status, person } = await who();
      if (leaving) return;
      if (status === 401) ended();
      else if (person) begun(person);
    } catch { /* no network; the next refused request starts another check */ }
    // At most one check a second, regardless of how many requests of the page are refused.
    setTimeout(() => { checking = false; if (again) check(); }, 1000);
  };

  // Fields that the user has changed. Frameworks change fields as well, so only events of the user
  // are used.
  const before = new WeakMap();
  const touched = new Set();
  const SEARCH = "[type=search],[placeholder^=search i],[placeholder^=filter i],[aria-label^=search i]";
  const text = (field) => field.isContentEditable ? field.textContent : field.value;
  const isText = (field) => field.isContentEditable || field.matches?.("input:not([type=checkbox],[type=radio]),textarea");
  document.addEventListener("focusin", ({ target }) => { if (isText(target) && !before.has(target)) before.set(target, text(target)); }, true);
  const touch = ({ target, isTrusted }) => {
    // For fields other than text, a framework may report the user's choice by an event of its own.
    const changed = isText(target) ? isTrusted && !target.matches(SEARCH) : target.closest?.("form,[role=dialog]");
    if (changed) touched.add(target);
  };
  for (const kind of ["input", "change"]) document.addEventListener(kind, touch, true);
  const writing = () => [...touched].some((field) => field.isConnected && !(isText(field) && text(field) === before.get(field)));

  const returns = () => {
    const now = Date.now();
    let times = [];
    try { times = JSON.parse(sessionStorage.getItem("lictor-returns") || "[]").filter((time) => now - time < 120000); } catch { /* storage is off, or the list is invalid */ }
    return [times, now];
  };
  // Loading the page starts a login, which returns to the page.
  const load = () => { leaving = true; location.reload(); };
  const ended = () => {
    // Tabs in the background wait until they are visible, since a browser has at most five login
    // attempts.
    if (question || document.visibilityState !== "visible") return;
    const [times, now] = returns();
    if (times.length >= 3 || writing()) {
      inquire("Your session has ended. To keep your input, sign in in another tab and return here. Signing in on this page discards it.", "Sign in again");
      return;
    }
    try { sessionStorage.setItem("lictor-returns", JSON.stringify([...times, now])); } catch { /* storage is off */ }
    load();
  };
  let known;
  const begun = (person) => {
    known ??= person.user;
    if (known === person.user) {
      // The same user has signed in again, perhaps in another tab.
      question?.remove();
      question = undefined;
      if (note.querySelector("button")) note.replaceChildren();
    } else if (!writing()) {
      return load();
    } else if (!question) {
      inquire("Another user is now signed in. This page shows the previous user's data.", "Reload the page");
    }
    show(person);
  };
  const look = () => { if (document.visibilityState === "visible") check(); };
  addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; look(); } });
  document.addEventListener("visibilitychange", look);

  /* The chip, the card, the dialog and the note. */

  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const host = make("lictor-companion");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host{all:initial;position:fixed;z-index:2147483000;font:13px/1.4 system-ui,sans-serif;color-scheme:light;
      --ink:#18202c;--soft:#566074;--card:#fff;--line:#cfd6e2;--act:#1d4ed8}
    :host(.dark){color-scheme:dark;--ink:#e9edf5;--soft:#a5afc2;--card:#171d28;--line:#3a4558;--act:#9dbcff}
    :host(.away) .chip{visibility:hidden}
    .chip[hidden],.card[hidden]{display:none!important}
    *{box-sizing:border-box}
    button,a{font:inherit;color:inherit;cursor:pointer}
    :focus-visible{outline:2px solid var(--act);outline-offset:2px}
    .chip{display:flex;align-items:center;gap:6px;max-width:220px;padding:3px 10px 3px 4px;border:1px solid var(--line);
      border-radius:999px;background:var(--card);color:var(--ink);box-shadow:0 1px 4px #0003}
    .chip b{display:grid;place-items:center;flex:none;width:20px;height:20px;border-radius:50%;background:var(--act);color:var(--card);font-size:11px}
    .chip span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
    .chip i{flex:none;color:var(--soft);font-style:normal}
    :host(.small) .chip{padding:3px}
    :host(.small) .chip :is(span,i){display:none}
    .card{position:absolute;overflow:auto;width:max-content;min-width:220px;max-width:min(320px,90vw);padding:14px;border:1px solid var(--line);border-radius:10px;
      background:var(--card);color:var(--ink);box-shadow:0 6px 24px #0004}
    :host(.bottom) .card{bottom:calc(100% + 8px)} :host(:not(.bottom)) .card{top:calc(100% + 8px)}
    :host(.right) .card{right:0} :host(:not(.right)) .card{left:0}
    .card p{margin:0 0 4px;overflow-wrap:anywhere} .card p:first-child{font-weight:600} .card .soft{color:var(--soft)}
    .card a,.note button{display:block;width:100%;margin-top:12px;padding:7px 12px;border:1px solid var(--line);border-radius:8px;
      background:none;color:var(--act);font-weight:600;text-align:center;text-decoration:none}
    dialog{max-width:min(440px,92vw);padding:20px;border:1px solid var(--line);border-radius:10px;background:var(--card);color:var(--ink);
      font:14px/1.5 system-ui,sans-serif;box-shadow:0 6px 24px #0004}
    dialog::backdrop{background:#0006}
    dialog p{margin:0 0 16px}
    dialog button{margin-right:8px;padding:7px 12px;border:1px solid var(--line);border-radius:8px;background:none;color:var(--act);font-weight:600}
    .note{position:fixed;left:50%;bottom:56px;transform:translateX(-50%);width:max-content;max-width:min(440px,92vw);padding:12px 16px;
      border:1px solid var(--line);border-radius:10px;background:var(--card);color:var(--ink);box-shadow:0 6px 24px #0004}
    .note:empty{display:none}`);
  root.adoptedStyleSheets = [sheet];
  const letter = make("b", { ariaHidden: "true" });
  const name = make("span");
  const role = make("i");
  const chip = make("button", { className: "chip", type: "button", hidden: true, ariaHasPopup: "true", ariaExpanded: "false" }, letter, name, role);
  const card = make("div", { className: "card", hidden: true });
  card.setAttribute("role", "group");
  card.setAttribute("aria-label", "Your session");
  const note = make("div", { className: "note" });
  note.setAttribute("role", "status");
  root.append(chip, card, note);

  const show = (person) => {
    const called = person.preferredUsername || person.email || person.user;
    const roleName = person.role || "no role";
    letter.textContent = called.slice(0, 1).toUpperCase();
    name.textContent = called;
    role.textContent = roleName;
    chip.title = `Signed in as ${called} (${roleName})`;
    chip.setAttribute("aria-label", chip.title);
    card.replaceChildren(
      make("p", { textContent: called }),
      ...(person.email && person.email !== called ? [make("p", { className: "soft", textContent: person.email })] : []),
      make("p", { className: "soft", textContent: `Role: ${roleName}` }),
      make("a", { href: `${endpoints}/sign_out`, textContent: "Sign out", onclick: signOut }));
    chip.hidden = false;
    place();
  };
  const signOut = () => {
    leaving = true;
    // In case the sign-out fails and the page stays.
    setTimeout(() => { leaving = false; }, 60000);
  };
  const open = (yes) => {
    card.hidden = !yes;
    chip.ariaExpanded = String(yes);
    if (!yes) return;
    // The card must lie within the window, even a small one.
    const from = chip.getBoundingClientRect();
    const room = host.classList.contains("bottom") ? from.top : innerHeight - from.bottom;
    Object.assign(card.style, { maxHeight: `${room - 2 * GAP}px`, translate: "none" });
    const box = card.getBoundingClientRect();
    const aside = Math.min(0, document.documentElement.clientWidth - GAP - box.right) || Math.max(0, GAP - box.left);
    card.style.translate = `${aside}px`;
  };
  chip.addEventListener("click", () => open(card.hidden));
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || card.hidden) return;
    open(false);
    chip.focus();
    event.stopPropagation();
  });
  document.addEventListener("pointerdown", (event) => { if (event.target !== host) open(false); }, true);
  host.addEventListener("focusout", (event) => { if (!event.relatedTarget || event.relatedTarget !== host) setTimeout(() => { if (!root.activeElement) open(false); }); });

  // A dialog of the page closes on a press or on focus outside of it, so it must not receive these
  // events.
  const keepToOurselves = (element) => {
    for (const kind of ["pointerdown", "mousedown", "touchstart", "click", "focusin"]) element.addEventListener(kind, (event) => event.stopPropagation());
  };
  keepToOurselves(host);

  // The dialog is a new element at the end of the body, above the page's own dialogs. These hide
  // from screen readers only elements that existed before them.
  let question;
  const inquire = (message, action) => {
    const leave = make("button", { type: "button", textContent: action, onclick: load });
    const stay = make("button", { type: "button", textContent: "Stay on this page", autofocus: true });
    const about = make("p", { id: "about", textContent: message });
    const dialog = make("dialog", {}, about, stay, leave);
    dialog.setAttribute("aria-labelledby", "about");
    question = make("lictor-question", { className: host.className });
    const inner = question.attachShadow({ mode: "open" });
    inner.adoptedStyleSheets = [sheet];
    inner.append(dialog);
    keepToOurselves(question);
    const current = question;
    stay.addEventListener("click", () => dialog.close());
    // This listener runs before those of the page's dialogs, which must not receive the keys.
    const keys = (event) => {
      if (!dialog.open || !current.isConnected) return removeEventListener("keydown", keys, true);
      event.stopPropagation();
      if (event.key !== "Escape") return;
      event.preventDefault();
      dialog.close();
    };
    addEventListener("keydown", keys, true);
    dialog.addEventListener("close", () => { if (current === question) say(message, action); });
    document.body.append(question);
    dialog.showModal();
  };

  let fading;
  const say = (text, action) => {
    clearTimeout(fading);
    const again = action ? [make("button", { type: "button", textContent: action, onclick: load })] : [];
    note.replaceChildren(text, ...again);
    if (!action) fading = setTimeout(() => note.replaceChildren(), 8000);
  };
  // Shows why an action is not allowed. Some of Prefect's pages say only that it failed.
  const explain = (refusal) => {
    if (leaving || question || !refusal || !/^(role_missing|no_role|csrf|body_too_large)$/.test(refusal.code)) return;
    setTimeout(() => { if (!leaving && !question && !document.body.innerText.includes(refusal.detail)) say(refusal.detail); }, 700);
  };

  /* The chip's place: in a corner, or else along an edge, where the page has nothing to click. */

  const CLICKED = "a[href],button,input,select,textarea,label,summary,[role=button],[role=link],[role=tab],[role=menuitem],[role=option],"
    + "[role=checkbox],[role=switch],[role=slider],[role=combobox],[tabindex]:not([tabindex='-1']),[onclick]";
  const GAP = 8;
  const STEP = 32;
  const spots = (width, height) => {
    const [right, bottom] = [document.documentElement.clientWidth - width - GAP, innerHeight - height - GAP];
    const steps = (from) => Array.from({ length: Math.max(0, Math.floor((from - GAP) / STEP)) }, (_, number) => from - number * STEP);
    return [[right, bottom], [GAP, bottom], [right, GAP],
      ...steps(bottom).map((y) => [GAP, y]), ...steps(right).map((x) => [x, bottom]),
      ...steps(bottom).map((y) => [right, y]), ...steps(right).map((x) => [x, GAP])];
  };
  const put = ([x, y], width, height) => {
    // The position is relative to the nearest edges, so that a scroll bar that appears later moves
    // the chip.
    const right = x > innerWidth / 2;
    const bottom = y > innerHeight / 2;
    host.style.inset = [bottom ? "auto" : `${y}px`, right ? `${document.documentElement.clientWidth - x - width}px` : "auto",
      bottom ? `${innerHeight - y - height}px` : "auto", right ? "auto" : `${x}px`].join(" ");
    host.classList.toggle("bottom", bottom);
    host.classList.toggle("right", right);
  };
  const covers = ([left, top], width, height) => {
    if (left < 0 || top < 0) return true;
    for (let column = 0; column <= 6; column += 1) {
      for (let row = 0; row <= 3; row += 1) {
        const under = document.elementsFromPoint(left - 2 + (width + 4) * column / 6, top - 2 + (height + 4) * row / 3)
          .find((element) => element !== host);
        if (under && (under.closest(CLICKED) || getComputedStyle(under).cursor === "pointer")) return true;
      }
    }
    return false;
  };
  let spot = [0, 0];
  const place = () => {
    if (chip.hidden || !card.hidden || root.activeElement) return;
    host.classList.remove("away");
    for (const small of [false, true]) {
      host.classList.toggle("small", small);
      const [width, height] = [chip.offsetWidth, chip.offsetHeight];
      const all = spots(width, height);
      // The present place comes first, if it is still one of the possible places.
      const stays = all.filter(([x, y]) => x === spot[0] && y === spot[1]);
      const free = [...stays, ...all].find((one) => !covers(one, width, height));
      if (free) {
        spot = free;
        put(spot, width, height);
        return;
      }
    }
    // There is no free place. The chip is hidden until the page changes.
    host.classList.add("away");
  };
  let due;
  const placeSoon = () => { due ??= setTimeout(() => { due = undefined; dress(); place(); }, 200); };
  const dress = () => {
    // The chip follows the color scheme of the page, which has a switch of its own.
    const shade = [document.body, document.documentElement].map((element) => getComputedStyle(element).backgroundColor)
      .map((color) => color.match(/[\d.]+/g)?.map(Number)).find((parts) => parts && (parts.length < 4 || parts[3] > 0));
    const dark = shade && /^rgb/.test(getComputedStyle(document.body).backgroundColor)
      ? (shade[0] * 299 + shade[1] * 587 + shade[2] * 114) / 1000 < 128
      : document.documentElement.classList.contains("dark") || matchMedia("(prefers-color-scheme: dark)").matches;
    host.classList.toggle("dark", dark);
  };
  const begin = () => {
    document.body.append(host);
    new MutationObserver((changes) => {
      if (!host.isConnected) document.body.append(host);
      if (changes.some((change) => change.target !== host)) placeSoon();
    }).observe(document.documentElement, { attributes: true, attributeFilter: ["class", "style"], childList: true, subtree: true });
    addEventListener("scroll", placeSoon, { capture: true, passive: true });
    addEventListener("resize", placeSoon);
    dress();
    check();
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin, { once: true });
})();
