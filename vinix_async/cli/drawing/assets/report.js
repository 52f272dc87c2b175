"use strict";

// Lists and searches accounts and callflows, and shows the chosen one. Texts of the server are only ever inserted as
// text nodes and attributes, never as markup.

const $ = (id) => document.getElementById(id);
const plain = (text) => (/[^\0-\x7f]/.test(text) ? text.normalize("NFKD").replace(/\p{M}/gu, "") : text).toLowerCase();
const count = (number, word, words) => `${number.toLocaleString("en")} ${number === 1 ? word : words || word + "s"}`;
const order = new Intl.Collator("en", {numeric: true, sensitivity: "base"}).compare;
const ROW = 54;

// --- the page's data ----------------------------------------------------------------------------------

// An account may come in several parts: its callflows page by page, and what could not be read.
const byId = new Map();
for (const element of document.querySelectorAll("script.account")) {
  const [id, name, realm, unreadable, error, flows] = JSON.parse(element.textContent);
  element.remove();
  if (!byId.has(id)) byId.set(id, {id, name: id, realm: "", unreadable: [], error: null, flows: []});
  const account = byId.get(id);
  account.name = name || account.name;
  account.realm = realm || account.realm;
  account.error = error || account.error;
  account.unreadable.push(...unreadable);
  for (const [flowId, title, type, numbers, code, boxes, modules] of flows) {
    const nodes = boxes && [[-1, "", "", title, 0, "", ...numbers], ...boxes];
    account.flows.push({account, id: flowId, title, type, numbers, code, boxes: nodes, modules, text: ""});
  }
}
const accounts = [...byId.values()];
for (const account of accounts) account.text = plain([account.name, account.id, account.realm].join("\n"));
accounts.sort((one, other) => order(one.name, other.name));
for (const account of accounts) {
  account.flows.sort((one, other) => order(one.title, other.title));
  account.byId = new Map(account.flows.map((flow) => [flow.id, flow]));
  account.codes = account.flows.filter((flow) => flow.code);
  account.callflows = account.flows.filter((flow) => !flow.code);
}
const failed = accounts.filter((account) => account.error);
const total = accounts.reduce((sum, account) => sum + account.flows.length, 0);
const unreadable = accounts.flatMap((account) => account.unreadable.map(([id, reason]) => ({account, id, reason})));

// The text in which the search looks for a callflow.
for (const account of accounts) {
  for (const flow of account.flows) {
    const said = [flow.title, flow.type, flow.id, ...flow.numbers, ...(flow.modules || [])];
    for (let place = 1; place < (flow.boxes || []).length; place++) said.push(...flow.boxes[place].slice(1, 4));
    flow.text = plain(said.join("\n"));
  }
}

// --- the list ----------------------------------------------------------------------------------------

const list = $("list"), rows = $("rows"), field = $("search");
let tab = "callflows", found = {}, words = [], chosen = null, cursor = -1, picture = null;

function wordsIn(query) {
  const asked = plain(query).trim();
  if (/^[\d\s()+.\/-]+$/.test(asked) && /[()\/.-]|\d\s+\d/.test(asked)) return [asked.replace(/[^\d+]/g, "")];
  return asked.split(/\s+/).filter(Boolean);
}

function search() {
  words = wordsIn(field.value);
  const hits = {callflows: [], codes: [], accounts: [], failed: []}, sums = {callflows: 0, codes: 0};
  for (const account of accounts) {
    const missing = words.filter((word) => !account.text.includes(word));
    if (!missing.length) {
      hits.accounts.push(account);
      if (account.error) hits.failed.push(account);
    }
    for (const kind of ["callflows", "codes"]) {
      const matching = missing.length ? account[kind].filter((flow) => missing.every((word) => flow.text.includes(word))) : account[kind];
      if (matching.length) { hits[kind].push(account); for (const flow of matching) hits[kind].push(flow); sums[kind] += matching.length; }
    }
  }
  found = hits;
  for (const button of document.querySelectorAll("[role=tab]")) {
    const kind = button.dataset.tab, number = sums[kind] ?? hits[kind].length;
    button.querySelector("b").textContent = number.toLocaleString("en");
  }
  cursor = words.length ? found[tab].findIndex((row) => row.account || tab !== "callflows" && tab !== "codes") : found[tab].indexOf(chosen);
  list.scrollTop = 0;
  if (cursor > 0) reveal(cursor);
  paint();
  const sum = sums[tab] ?? hits[tab].length;
  $("status").textContent = words.length ? `${sum.toLocaleString("en")} found` : "";
}

function highlight(text) {
  const lower = text.toLowerCase();
  const word = words.find((each) => lower.includes(each));
  if (!word || lower.length !== text.length) return [text];
  const at = lower.indexOf(word);
  return [text.slice(0, at), make("mark", {}, text.slice(at, at + word.length)), text.slice(at + word.length)];
}

function whereFound(flow) {
  const said = plain([flow.title, flow.type, ...flow.numbers].join("\n"));
  const word = words.find((each) => !said.includes(each) && !flow.account.text.includes(each));
  const box = word && (flow.boxes || []).slice(1).find((each) => plain([each[1], each[2] || "", each[3] || ""].join("\n")).includes(word));
  return box ? [box[1], box[3] || box[2]].filter(Boolean).join(" · ") : "";
}

// The second line of a row: the numbers that are not the title, else the first module.
function dialled(flow) {
  const others = flow.numbers.filter((number) => number !== flow.title), first = flow.boxes?.[1];
  return others.join("  ") || (flow.numbers.length && first ? [first[1], first[3]].filter(Boolean).join(" · ") : "no number");
}

function row(item, place) {
  const attributes = {id: "row" + place, role: "option", "aria-selected": item === chosen, "aria-setsize": found[tab].length, "aria-posinset": place + 1};
  const state = (item === chosen ? " chosen" : "") + (place === cursor ? " cursor" : "");
  let element;
  if (item.account) {
    const inside = whereFound(item);
    element = make("div", {...attributes, class: "row" + state},
      make("div", {class: "first"}, make("span", {class: "title"}, ...highlight(item.title)), item.type ? make("span", {class: "type"}, item.type) : ""),
      make("div", {class: "second"}, ...(inside ? ["contains ", ...highlight(inside)] : highlight(dialled(item)))));
  } else {
    const sum = tab === "codes" ? count(item.codes.length, "feature code") : count(item.callflows.length, "callflow");
    element = make("div", {...attributes, class: "row account" + state},
      make("div", {class: "first"}, make("span", {class: "title"}, ...highlight(item.name)), item.error ? make("span", {class: "failed"}, "failed") : ""),
      make("div", {class: "second"}, item.error && tab === "failed" ? item.error.kind : [item.realm, sum].filter(Boolean).join(" · ")));
  }
  element.style.top = place * ROW + "px";
  element.addEventListener("click", () => { cursor = place; choose(item); });
  return element;
}

function paint() {
  const shown = found[tab], first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 9);
  rows.style.height = shown.length * ROW + "px";
  const drawn = [];
  for (let place = first; place < last; place++) drawn.push(row(shown[place], place));
  if (!shown.length) drawn.push(make("p", {class: "none"}, words.length ? "No matches." : "The list is empty."));
  rows.replaceChildren(...drawn);
  for (const holder of [list, field]) {
    if (cursor >= 0 && cursor < shown.length) holder.setAttribute("aria-activedescendant", "row" + cursor); else holder.removeAttribute("aria-activedescendant");
  }
}

function reveal(place) {
  if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
  if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
}

function move(steps) {
  const most = found[tab].length - 1;
  if (most < 0) return;
  cursor = Math.min(most, Math.max(0, cursor + steps));
  reveal(cursor);
  paint();
}

function turnTo(name) {
  tab = name;
  for (const button of document.querySelectorAll("[role=tab]")) {
    button.setAttribute("aria-selected", button.dataset.tab === tab);
    button.tabIndex = button.dataset.tab === tab ? 0 : -1;
  }
  search();
}

// --- the chosen item ---------------------------------------------------------------------------------

const address = (item) => "#" + (item.account ? encodeURIComponent(item.account.id) + "/" + encodeURIComponent(item.id) : encodeURIComponent(item.id));
const facts = (pairs) => make("dl", {}, ...pairs.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));

function go(hash) {
  if (hash !== location.hash) history.pushState(null, "", hash);
  open();
}

const choose = (item) => go(address(item));

function open() {
  const [accountId, flowId] = location.hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const account = byId.get(accountId);
  chosen = (flowId === undefined ? account : account?.byId.get(flowId)) || null;
  if (head.single) chosen = accounts[0].flows[0];
  picture = null;
  document.body.classList.toggle("open", Boolean(chosen));
  $("tools").hidden = true;
  $("picture").replaceChildren();
  $("picture").hidden = !chosen?.account;
  $("about").replaceChildren(...(!chosen ? overview() : chosen.account ? aboutFlow(chosen) : aboutAccount(chosen)));
  document.title = chosen ? `${chosen.title || chosen.name} · ${head.title}` : head.title;
  if (chosen?.boxes && chosen.boxes.length > 1) {
    $("tools").hidden = false;
    $("everything").hidden = chosen.boxes.length < 30;
    $("everything").setAttribute("aria-pressed", "false");
    picture = new Picture($("picture"), chosen.boxes, (target) => {
      const flow = chosen.account.byId.get(target);
      return flow ? () => choose(flow) : null;
    });
  }
  const place = found[tab].indexOf(chosen);
  if (place >= 0) { cursor = place; reveal(place); }
  if (chosen && document.activeElement !== field) (picture ? picture.seen[0].element : $("about")).focus({preventScroll: true});
  paint();
}

function aboutFlow(flow) {
  const said = [make("h1", {}, flow.title)];
  if (flow.numbers.length) said.push(make("ul", {class: "numbers", "aria-label": "Numbers"}, ...flow.numbers.map((number) => make("li", {}, number))));
  const home = head.single ? null : make("a", {href: address(flow.account)}, flow.account.name);
  said.push(facts([["Account", home], ["Type", flow.type || (flow.code ? "feature code" : "")], ["Id", make("code", {}, flow.id)],
    ["Modules", flow.boxes && flow.boxes.length > 1 ? (flow.boxes.length - 1).toLocaleString("en") : ""]]));
  if (flow.modules) said.push(make("p", {class: "none"}, "This callflow was listed without its flow. Modules: " + flow.modules.join(", ") + "."));
  else if (flow.boxes.length === 1) said.push(make("p", {class: "none"}, "This callflow has no flow: a call to it ends."));
  return said;
}

function problem({kind, reason, request_id, attempts, next, retry}, kept) {
  return make("section", {class: "problem", "aria-label": "Error"}, make("h2", {}, kind), make("p", {class: "reason"}, reason),
    facts([["Request id", request_id && make("code", {}, request_id)], ["Attempts", attempts && String(attempts)],
      ["Failed at", next && make("code", {}, next)], ["Read until then", count(kept, "callflow")], ["Retry", make("code", {}, retry)]]));
}

function badItems(items) {
  return make("section", {class: "problem", "aria-label": "Unreadable"}, make("h2", {}, `${count(items.length, "item")} could not be read`),
    ...items.map(([id, reason]) => make("p", {class: "reason"}, make("code", {}, id), `\n${reason}`)),
    facts([["Retry", make("code", {}, items[0][2])]]));
}

function aboutAccount(account) {
  const said = [make("h1", {}, account.name), facts([["Id", make("code", {}, account.id)], ["Realm", account.realm], ["Callflows", account.callflows.length.toLocaleString("en")],
    ["Feature codes", account.codes.length.toLocaleString("en")]])];
  if (account.error) said.push(problem(account.error, account.flows.length));
  if (account.unreadable.length) said.push(badItems(account.unreadable));
  for (const [title, flows] of [["Callflows", account.callflows], ["Feature codes", account.codes]]) {
    if (!flows.length) continue;
    said.push(make("h2", {}, title), make("ul", {class: "flows"}, ...flows.slice(0, 300).map((flow) =>
      make("li", {}, make("a", {href: address(flow)}, flow.title), make("span", {}, dialled(flow))))));
    if (flows.length > 300) said.push(make("p", {class: "none"}, `and ${count(flows.length - 300, "other")}, which the search finds`));
  }
  return said;
}

function overview() {
  const said = [make("h1", {}, head.title), make("p", {class: "lead"}, `${count(total, "callflow")} of ${count(accounts.length, "account")}, read ${head.created}.`)];
  if (!JSON.parse($("end").textContent).complete) said.push(make("p", {class: "warning"}, "This report is incomplete: the run was interrupted."));
  if (failed.length) {
    said.push(make("h2", {}, `${count(failed.length, "account")} failed`), make("ul", {class: "flows failures"}, ...failed.slice(0, 50).map((account) =>
      make("li", {}, make("a", {href: address(account)}, account.name), make("span", {}, `${account.error.kind}: ${account.error.reason.split("\n")[0]}`)))));
    if (failed.length > 50) said.push(make("p", {class: "none"}, `and ${count(failed.length - 50, "other")}, under Failed`));
  }
  if (unreadable.length) {
    said.push(make("h2", {}, `${count(unreadable.length, "item")} could not be read`), make("ul", {class: "flows failures"}, ...unreadable.slice(0, 50).map(({account, id, reason}) =>
      make("li", {}, make("a", {href: address(account)}, account.name), make("span", {}, `${id}: ${reason}`)))));
    if (unreadable.length > 50) said.push(make("p", {class: "none"}, `and ${count(unreadable.length - 50, "other")}, on the pages of their accounts`));
  }
  const keys = [["/", "search"], ["↑ ↓", "move"], ["Enter", "open"], ["Esc", "go back"]];
  said.push(make("p", {class: "keys"}, ...keys.flatMap(([key, what]) => [make("kbd", {}, key), ` ${what}  `])));
  return said;
}

// --- keys and buttons --------------------------------------------------------------------------------

function back() {
  if (document.activeElement === field && field.value) { field.value = ""; search(); return; }
  if (head.single) return;
  if (chosen && document.body.classList.contains("open") && document.activeElement !== field) { list.focus(); go("#"); return; }
  field.blur();
  list.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const {key} = event, here = document.activeElement;
  const onList = here === list || here === field, inPicture = picture && $("picture").contains(here);
  if (key === "/" && here !== field && !head.single) field.focus(), field.select();
  else if (key === "Escape") back();
  else if (here?.getAttribute("role") === "tab" && (key === "ArrowLeft" || key === "ArrowRight")) {
    const tabs = [...document.querySelectorAll("[role=tab]:not([hidden])")], next = tabs[tabs.indexOf(here) + (key === "ArrowLeft" ? -1 : 1)];
    if (next) { turnTo(next.dataset.tab); next.focus(); }
  } else if (inPicture && picture.key(key)) { /* done there */ }
  else if (onList && key === "ArrowDown") move(1);
  else if (onList && key === "ArrowUp") move(-1);
  else if (onList && key === "PageDown") move(Math.max(1, Math.floor(list.clientHeight / ROW) - 1));
  else if (onList && key === "PageUp") move(1 - Math.max(2, Math.floor(list.clientHeight / ROW)));
  else if (here === list && key === "Home") move(-Infinity);
  else if (here === list && key === "End") move(found[tab].length);
  else if (onList && key === "Enter") { if (found[tab][cursor]) { if (here === field) list.focus(); choose(found[tab][cursor]); } }
  else return;
  event.preventDefault();
});
field.addEventListener("input", search);
list.addEventListener("scroll", () => requestAnimationFrame(paint), {passive: true});
for (const button of document.querySelectorAll("[role=tab]")) button.addEventListener("click", () => turnTo(button.dataset.tab));
$("back").addEventListener("click", () => go("#"));
$("in").addEventListener("click", () => picture.zoom(picture.scale * 1.25));
$("out").addEventListener("click", () => picture.zoom(picture.scale / 1.25));
$("fit").addEventListener("click", () => picture.fit());
$("everything").addEventListener("click", (event) => {
  const all = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", all);
  picture.expand(all);
});
addEventListener("hashchange", open);
new ResizeObserver(() => {
  paint();
  if (picture && picture.narrow !== $("picture").clientWidth < 640) { picture.scale = 0; picture.draw(); }
}).observe(document.body);

document.body.classList.toggle("single", head.single);
$("name").textContent = head.title;
document.querySelector("[data-tab=failed]").hidden = !failed.length;
document.querySelector("[data-tab=codes]").hidden = !accounts.some((account) => account.codes.length);
turnTo("callflows");
document.body.classList.remove("loading");
open();
