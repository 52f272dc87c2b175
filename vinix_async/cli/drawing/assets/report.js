"use strict";

// Lists and searches accounts, callflows and findings, and shows the chosen one. Text from the server is inserted as text
// nodes and attributes, never as markup.

const $ = (id) => document.getElementById(id);
const plain = (text) => (/[^\0-\x7f]/.test(text) ? text.normalize("NFKD").replace(/\p{M}/gu, "") : text).toLowerCase();
const number = (value) => value.toLocaleString("en");
const count = (value, word, words) => `${number(value)} ${value === 1 ? word : words || word + "s"}`;
const order = new Intl.Collator("en", {numeric: true, sensitivity: "base"}).compare;
const link = (address, ...inner) => make("a", {href: address}, ...inner);
const ROW = 54, SEVERITIES = ["error", "warning", "info"], PLURALS = {error: "errors", warning: "warnings", info: "notes"};

// --- the page's data ----------------------------------------------------------------------------------

const accounts = [], findings = [];
for (const element of document.querySelectorAll("script.account")) {
  const [id, name, realm, unreadable, error, numbers, names, flows] = JSON.parse(element.textContent);
  element.remove();
  const account = {id, name: name || id, realm, unreadable, error, numbers, names: new Map(Object.entries(names)), findings: []};
  account.flows = flows.map(([flowId, title, type, dialled, code, boxes, modules, found]) => {
    const flow = {account, id: flowId, title, type, numbers: dialled, code, boxes, modules};
    flow.findings = (found || []).map(([code, severity, place, message]) => ({flow, code, severity, place, message}));
    account.findings.push(...flow.findings);
    return flow;
  });
  account.text = plain([account.name, id, realm].join("\n"));
  accounts.push(account);
}
accounts.sort((one, other) => order(one.name, other.name));
for (const account of accounts) {
  account.flows.sort((one, other) => order(one.title, other.title));
  account.byId = new Map(account.flows.map((flow) => [flow.id, flow]));
  account.codes = account.flows.filter((flow) => flow.code);
  account.callflows = account.flows.filter((flow) => !flow.code);
  for (const flow of account.flows) {
    flow.said = plain([flow.title, flow.type, ...flow.numbers].join("\n"));
    const inside = (flow.boxes || []).slice(1).map(textOf);
    flow.text = [flow.said, ...inside, plain((flow.modules || []).join("\n"))].join("\n");
  }
  for (const each of account.findings) each.text = plain(`${each.code} ${each.message} ${each.flow.title}`);
  findings.push(...account.findings);
}
const rank = (finding) => SEVERITIES.indexOf(finding.severity);
findings.sort((one, other) => rank(one) - rank(other) || order(one.code, other.code));
const byId = new Map(accounts.map((account) => [account.id, account]));
const failed = accounts.filter((account) => account.error);
const unreadable = accounts.flatMap((account) => account.unreadable.map(([id, reason]) => ({account, id, reason})));
const sum = (value) => accounts.reduce((total, account) => total + value(account), 0);

function textOf(box) { return plain([box[LABEL], box[BRANCH], box[MODULE], ...(box[LINES] || [])].filter(Boolean).join("\n")); }

// Returns a map from an id or a number to the places where it is used, each as [callflow, box]. The map is built when it
// is first needed.
function usesIn(account) {
  if (account.uses) return account.uses;
  account.uses = new Map();
  for (const flow of account.flows) for (const [place, box] of (flow.boxes || []).entries()) for (const target of new Set(box[REFERENCES])) {
    if (!account.uses.has(target)) account.uses.set(target, []);
    account.uses.get(target).push([flow, place]);
  }
  account.byNumber = new Map(account.flows.flatMap((flow) => flow.numbers.map((dialled) => [dialled, flow])));
  return account.uses;
}

// --- the list ----------------------------------------------------------------------------------------

const list = $("list"), rows = $("rows"), field = $("search"), filters = {severity: "", code: "", account: ""};
let tab = "callflows", found = {}, words = [], chosen = null, cursor = -1, picture = null, detailed = -1;

function wordsIn(query) {
  const asked = plain(query).trim();
  if (/^[\d\s()+.\/-]+$/.test(asked) && /[()\/.-]|\d\s+\d/.test(asked)) return [asked.replace(/[^\d+]/g, "")];
  return asked.split(/\s+/).filter(Boolean);
}

const PLAIN = Array.from({length: 128}, (_, code) => /[a-z0-9]/i.test(String.fromCharCode(code)));
const inWord = (letter) => letter !== undefined && (letter < "\x80" ? PLAIN[letter.charCodeAt(0)] : /[\p{L}\p{N}]/u.test(letter));

// Returns the first index, not before `from`, of a word in a text, or -1. whole: whether the word must not be a part of a
// longer word.
function find(text, word, whole, from = 0) {
  const first = inWord(word[0]), last = inWord(word[word.length - 1]);
  let at = text.indexOf(word, from);
  while (at >= 0 && whole && (first && inWord(text[at - 1]) || last && inWord(text[at + word.length]))) at = text.indexOf(word, at + 1);
  return at;
}

const hasWhole = (text, word) => find(text, word, true) >= 0;

// Ranks a callflow for the words of the search. missing: those that are not whole words of the account's name, realm or
// id. 0: all words are whole words of the title, type and numbers, or the only missing word is the beginning of the
// callflow's id; 1: all are whole words of the callflow or its account; 2: some are only parts of words; 3: not found.
function rankOf(flow, missing) {
  if (missing.length === 1 && missing[0].length > 5 && flow.id.startsWith(missing[0])) return 0;
  if (!missing.every((word) => flow.text.includes(word))) return 3;
  return words.every((word) => hasWhole(flow.said, word)) ? 0 : missing.every((word) => hasWhole(flow.text, word)) ? 1 : 2;
}

function search() {
  words = wordsIn(field.value);
  const hits = {callflows: [], codes: [], findings: [], accounts: [], failed: []}, sums = {callflows: 0, codes: 0};
  const ranked = {callflows: [[], [], []], codes: [[], [], []]};
  for (const account of accounts) {
    const missing = words.filter((word) => !hasWhole(account.text, word)), none = words.some((word) => !account.text.includes(word));
    if (!none) {
      hits.accounts.push(account);
      if (account.error) hits.failed.push(account);
    }
    for (const kind of ["callflows", "codes"]) {
      const tiers = [[], [], []];
      for (const flow of account[kind]) {
        flow.rank = rankOf(flow, missing);
        if (flow.rank < 3) tiers[flow.rank].push(flow);
      }
      tiers.forEach((flows, tier) => { if (flows.length) ranked[kind][tier].push(account, ...flows); sums[kind] += flows.length; });
    }
  }
  for (const kind of ["callflows", "codes"]) hits[kind] = ranked[kind].flat();
  hits.findings = findings.filter((each) => (!filters.severity || each.severity === filters.severity) && (!filters.code || each.code === filters.code)
    && (!filters.account || each.flow.account.id === filters.account) && words.every((word) => each.text.includes(word) || each.flow.account.text.includes(word)));
  found = hits;
  for (const button of document.querySelectorAll("[role=tab]")) {
    const kind = button.dataset.tab;
    button.querySelector("b").textContent = number(sums[kind] ?? hits[kind].length);
  }
  cursor = words.length ? found[tab].findIndex(isTarget) : found[tab].indexOf(chosen);
  list.scrollTop = 0;
  if (cursor > 0) reveal(cursor);
  paint();
  $("status").textContent = words.length ? `${number(sums[tab] ?? hits[tab].length)} found` : "";
}

// Whether the arrow keys stop at a row. They skip the headings between callflows.
const isTarget = (item) => !(item.flows && (tab === "callflows" || tab === "codes"));

// Marks the words of the search in a text: whole words, or parts of words if no whole words were found.
function highlight(text, rank = 2) {
  const letters = [...text], shown = [], at = [];
  let lower = "";
  letters.forEach((letter, place) => { for (const each of plain(letter)) { lower += each; at.push(...Array(each.length).fill(place)); } });
  const marked = new Set();
  for (const word of words) {
    const whole = rank < 2 || hasWhole(lower, word);
    for (let start = find(lower, word, whole); start >= 0; start = find(lower, word, whole, start + word.length)) {
      for (let each = start; each < start + word.length; each++) marked.add(at[each]);
    }
  }
  letters.forEach((letter, place) => {
    const same = place && marked.has(place) === marked.has(place - 1);
    if (same) shown[shown.length - 1][0] += letter; else shown.push([letter, marked.has(place)]);
  });
  return shown.map(([part, hit]) => (hit ? make("mark", {}, part) : part));
}

// Some words of the search may not be in the title, the type, the numbers and the account. Returns the boxes that contain
// all of these words, or else the boxes that contain some of them.
function boxesFound(flow) {
  const inside = words.filter((word) => !(hasWhole(flow.said, word) || hasWhole(flow.account.text, word)));
  if (!inside.length || !flow.boxes) return [];
  const test = flow.rank < 2 ? hasWhole : (text, word) => text.includes(word), texts = flow.boxes.map(textOf);
  const places = (judge) => flow.boxes.flatMap((_, place) => (place && judge((word) => test(texts[place], word)) ? [place] : []));
  const all = places((judge) => inside.every(judge));
  return all.length ? all : places((judge) => inside.some(judge));
}

const briefly = (box) => [box[LABEL], ...(box[LINES] || [])].join(" · ");

// Returns the second line of a row: the numbers without the title, or else the first module.
function dialled(flow) {
  const others = flow.numbers.filter((each) => each !== flow.title), first = flow.boxes?.[1];
  return others.join("  ") || (flow.numbers.length && first ? briefly(first) : "no number");
}

const badge = (severity, text) => make("span", {class: "badge " + severity}, text);
const worst = (items) => SEVERITIES.find((severity) => items.some((each) => each.severity === severity));

function row(item, place) {
  const attributes = {id: "row" + place, role: "option", "aria-selected": item === chosen, "aria-setsize": found[tab].length, "aria-posinset": place + 1};
  const state = (item === chosen ? " chosen" : "") + (place === cursor ? " cursor" : "");
  let kind = "row", first, second;
  if (item.message !== undefined) {
    first = [badge(item.severity, item.code), make("span", {class: "title"}, ...highlight(item.flow.title)), make("span", {class: "type"}, item.flow.account.name)];
    second = highlight(item.message);
  } else if (item.account) {
    const inside = words.length ? boxesFound(item)[0] : undefined, severity = worst(item.findings);
    first = [make("span", {class: "title"}, ...highlight(item.title, item.rank)), item.type ? make("span", {class: "type"}, item.type) : "",
      severity ? badge(severity, String(item.findings.length)) : ""];
    second = inside ? ["contains ", ...highlight(briefly(item.boxes[inside]), item.rank)] : highlight(dialled(item), item.rank);
  } else {
    const size = tab === "codes" ? count(item.codes.length, "feature code") : count(item.callflows.length, "callflow");
    kind = "row account";
    first = [make("span", {class: "title"}, ...highlight(item.name, 0)), item.error ? make("span", {class: "failed"}, "failed") : ""];
    second = [item.error && tab === "failed" ? item.error.kind : [item.realm, size].filter(Boolean).join(" · ")];
  }
  const element = make("div", {...attributes, class: kind + state}, make("div", {class: "first"}, ...first), make("div", {class: "second"}, ...second));
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
  const most = found[tab].length - 1, step = Math.sign(steps);
  let next = Math.min(most, Math.max(0, cursor + steps));
  while (found[tab][next] && !isTarget(found[tab][next])) next += step;
  if (!found[tab][next]) return;
  cursor = next;
  reveal(next <= 1 ? 0 : next);
  reveal(next);
  paint();
}

function turnTo(name) {
  tab = name;
  for (const button of document.querySelectorAll("[role=tab]")) {
    button.setAttribute("aria-selected", button.dataset.tab === tab);
    button.tabIndex = button.dataset.tab === tab ? 0 : -1;
  }
  $("filters").hidden = tab !== "findings";
  for (const select of document.querySelectorAll("#filters select")) select.value = filters[select.name];
  search();
}

function fillFilters() {
  const tally = (key) => { const sums = new Map(); for (const each of findings) sums.set(key(each), (sums.get(key(each)) || 0) + 1); return sums; };
  const severities = tally((each) => each.severity), codes = tally((each) => each.code);
  const options = {
    severity: SEVERITIES.filter((each) => severities.has(each)).map((each) => [each, `${PLURALS[each]} (${number(severities.get(each))})`]),
    code: [...codes].sort().map(([code, size]) => [code, `${code} ${head.rules[code][1]} (${number(size)})`]),
    account: accounts.filter((account) => account.findings.length).map((account) => [account.id, `${account.name} (${number(account.findings.length)})`]),
  };
  for (const select of document.querySelectorAll("#filters select")) {
    select.append(...options[select.name].map(([value, text]) => make("option", {value}, text)));
    select.addEventListener("change", () => { filters[select.name] = select.value; if (!chosen) history.replaceState(null, "", listAddress()); search(); });
  }
}

// --- the chosen item ---------------------------------------------------------------------------------

// An address is #ACCOUNT, #ACCOUNT/CALLFLOW, #ACCOUNT/CALLFLOW/BOX, or #?tab=... for a list.
const address = (...parts) => "#" + parts.map(encodeURIComponent).join("/");
const flowAddress = (flow, place) => address(flow.account.id, flow.id, ...(place ? [place] : []));
const listAddress = (name = tab, filter = filters) => "#?" + new URLSearchParams({tab: name, ...Object.fromEntries(name === "findings" ? Object.entries(filter).filter(([, value]) => value) : [])});
const facts = (pairs) => make("dl", {}, ...pairs.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
const settled = (part) => { try { return decodeURIComponent(part); } catch { return part; } };

function go(hash) {
  if (hash !== location.hash) history.pushState(null, "", hash);
  open();
}

const choose = (item) => go(item.message !== undefined ? flowAddress(item.flow, item.place) : item.account ? flowAddress(item) : address(item.id));

function open() {
  const asked = location.hash.slice(1), [accountId, flowId, place] = asked.split("/").map(settled);
  const account = byId.get(accountId), before = chosen;
  chosen = (flowId === undefined ? account : account?.byId.get(flowId)) || null;
  if (head.single) chosen = accounts[0].flows[0];
  if (asked.startsWith("?")) {
    const given = new URLSearchParams(asked.slice(1)), name = given.get("tab");
    for (const key of Object.keys(filters)) filters[key] = given.get(key) || "";
    turnTo(found[name] ? name : tab);
  }
  document.body.classList.toggle("open", Boolean(chosen) || !asked.startsWith("?"));
  document.body.classList.toggle("home", !chosen);
  if (!picture || before !== chosen) show(place !== undefined);
  const at = found[tab].indexOf(chosen);
  if (at >= 0) { cursor = at; reveal(at); }
  if (picture && chosen.boxes[place]) { describe(+place); picture.reveal(+place); }
  else if (chosen && document.activeElement !== field) (picture ? picture.seen[0].element : $("about")).focus({preventScroll: true});
  paint();
}

// Shows the chosen item, or the overview. beside: whether the picture leaves room for the details of a box.
function show(beside) {
  picture = null;
  describe(-1);
  $("details").hidden = !beside;
  $("tools").hidden = true;
  $("picture").replaceChildren();
  $("picture").hidden = !chosen?.account;
  $("about").replaceChildren(...(!chosen ? overview() : chosen.account ? aboutFlow(chosen) : aboutAccount(chosen)));
  $("view").scrollTop = 0;
  document.title = chosen ? `${chosen.title || chosen.name} · ${head.title}` : head.title;
  if (!chosen?.boxes || chosen.boxes.length < 2) return;
  const marks = new Map(), places = words.length ? boxesFound(chosen) : [];
  for (const each of [...chosen.findings].sort((one, other) => rank(other) - rank(one))) marks.set(each.place, each.severity);
  $("tools").hidden = false;
  $("everything").hidden = chosen.boxes.length < 30;
  $("everything").setAttribute("aria-pressed", "false");
  picture = new Picture($("picture"), chosen.boxes, {marks, found: new Set(places), chosen: actOn});
  if (places.length) picture.reveal(places[0]);
  $("tree").hidden = !picture.hung.size;
  $("tree").setAttribute("aria-pressed", false);
}

// The first click on a box shows its details. The second one goes to the callflow to which the box leads, or opens or
// closes the box.
function actOn(place) {
  if (place !== detailed) { describe(place); return; }
  const target = chosen.boxes[place][PARENT] >= 0 && chosen.account.byId.get(chosen.boxes[place][TARGET]);
  if (target) choose(target); else picture.toggle(place);
}

function findingItem(each, linked) {
  const message = linked ? link(flowAddress(each.flow, each.place), each.message) : each.message;
  return make("li", {class: "finding"}, badge(each.severity, each.code), make("span", {}, message));
}

function fold(title, items, most = 8) {
  if (!items.length) return null;
  const part = make("ul", {class: "places"}, ...items.slice(0, most));
  if (items.length > most) {
    const more = make("button", {class: "more"}, `${number(items.length - most)} more`);
    more.addEventListener("click", () => part.replaceChildren(...items));
    part.append(make("li", {}, more));
  }
  return make("section", {}, title && make("h3", {}, title), part);
}

// Returns the branches that lead to a box, in words.
function wayTo(flow, place) {
  const way = [];
  for (let each = place; flow.boxes[each][PARENT] >= 0; each = flow.boxes[each][PARENT]) if (flow.boxes[each][BRANCH]) way.unshift(flow.boxes[each][BRANCH]);
  return way.join(", ");
}

const placeItem = ([flow, place]) => make("li", {}, link(flowAddress(flow, place), flow.title), make("span", {}, [wayTo(flow, place), place ? flow.boxes[place][LABEL] : "the callflow itself"].filter(Boolean).join(": ")));

// Returns [callflow, box] for each box that leads to another callflow, by a jump or by a transfer to a number.
function jumpsFrom(flow) {
  usesIn(flow.account);
  const target = (box) => flow.account.byId.get(box[TARGET]) || (box[REFERENCES] || []).map((each) => flow.account.byNumber.get(each)).find(Boolean);
  return flow.boxes.flatMap((box, place) => { const to = place && box[PARENT] >= 0 && target(box); return to ? [[to, place]] : []; });
}

function aboutFlow(flow) {
  const said = [make("h1", {}, flow.title)];
  if (flow.numbers.length) said.push(make("ul", {class: "numbers", "aria-label": "Numbers"}, ...flow.numbers.map((each) => make("li", {}, each))));
  const home = head.single ? null : link(address(flow.account.id), flow.account.name);
  said.push(facts([["Account", home], ["Type", flow.type || (flow.code ? "feature code" : "")], ["Id", make("code", {}, flow.id)],
    ["Modules", flow.boxes && flow.boxes.length > 1 ? number(flow.boxes.length - 1) : ""]]));
  if (flow.modules) said.push(make("p", {class: "none"}, "This callflow was listed without its flow. Modules: " + flow.modules.join(", ") + "."));
  else if (flow.boxes.length === 1) said.push(make("p", {class: "none"}, "This callflow has no flow: a call to it ends."));
  if (flow.findings.length) said.push(fold("", flow.findings.map((each) => findingItem(each, true)), 3));
  if (!flow.boxes) return said;
  const uses = usesIn(flow.account), into = [flow.id, ...flow.numbers].flatMap((each) => uses.get(each) || []);
  const jumps = jumpsFrom(flow).map(([to, place]) => make("li", {}, link(flowAddress(to), to.title), make("span", {}, wayTo(flow, place))));
  said.push(make("div", {class: "jumps"}, ...[fold("Reached from", into.map(placeItem), 3), fold("Leads to", jumps, 3)].filter(Boolean)));
  return said;
}

// --- the details of a box ----------------------------------------------------------------------------

function describe(place) {
  detailed = place;
  $("details").hidden = place < 0;
  document.body.classList.toggle("detailed", place >= 0);
  if (place >= 0) $("facts").replaceChildren(...aboutBox(chosen, place));
  $("details").scrollTop = 0;
}

function aboutBox(flow, place) {
  const box = flow.boxes[place], [first, ...members] = box[LINES] || [], isHead = box[PARENT] < 0, {account} = flow, uses = usesIn(account);
  const said = [make("h2", {}, box[LABEL]), isHead ? null : facts([["In the API", make("code", {}, box[MODULE] || "{}")], ["Branch", wayTo(flow, place)]])];
  if (box[OFF]) said.push(make("p", {class: "notice"}, "This module is disabled (skip_module): calls take its default child."));
  const here = flow.findings.filter((each) => each.place === place);
  if (here.length) said.push(make("ul", {class: "findings"}, ...here.map((each) => { const item = findingItem(each); item.append(make("p", {}, head.rules[each.code][2])); return item; })));
  const to = !isHead && box[TARGET] ? account.byId.get(box[TARGET]) : null;
  if (to) said.push(make("p", {}, "Leads to ", link(flowAddress(to), to.title)));
  const data = box[DATA] && Object.keys(box[DATA]).length ? [make("h3", {}, "Data"), value(box[DATA], account)] : [];
  said.push(...data);
  for (const target of new Set(box[REFERENCES])) {
    const others = (uses.get(target) || []).filter(([other, at]) => other !== flow || at !== place);
    const [name, kind] = account.names.get(target) || [target, ""];
    said.push(fold(`${name}${kind ? ` (${kind.replaceAll("_", " ")})` : ""} is also used in`, others.map(placeItem)));
  }
  return said.filter(Boolean);
}

// Returns elements for a JSON value. An id is shown with the name of its document.
function value(data, account) {
  if (Array.isArray(data)) return data.length ? make("ul", {class: "items"}, ...data.map((item) => make("li", {}, item && typeof item === "object" && !Array.isArray(item) ? entry(item, account) : value(item, account)))) : "[]";
  if (data && typeof data === "object") return make("dl", {class: "data"}, ...Object.entries(data).map(([key, item]) => make("div", {class: item && typeof item === "object" ? "nested" : null}, make("dt", {}, key), make("dd", {}, value(item, account)))));
  if (typeof data !== "string") return String(data);
  const flow = account.byId.get(data), name = account.names.get(data)?.[0] || flow?.title;
  if (!name) return data || '""';
  return make("span", {class: "named"}, flow ? link(flowAddress(flow), name) : name, make("code", {}, data));
}

// Returns elements for an object in an array, such as a member of a group: first its id, then its other fields.
function entry(item, account) {
  const {id, ...rest} = item;
  const settings = Object.entries(rest).map(([key, each]) => make("span", {class: "setting"}, `${key} `, value(each, account)));
  return make("div", {}, ...(id === undefined ? [] : [value(id, account)]), make("div", {class: "settings"}, ...settings));
}

// --- an account, and all of them ---------------------------------------------------------------------

function problem({kind, reason, request_id, attempts, next, retry}, kept) {
  return make("section", {class: "problem", "aria-label": "Error"}, make("h2", {}, kind), make("p", {class: "reason"}, reason),
    facts([["Request id", request_id && make("code", {}, request_id)], ["Attempts", attempts && String(attempts)],
      ["Start key", next && make("code", {}, next)], ["Read before", count(kept, "callflow")], ["Retry", make("code", {}, retry)]]));
}

function badItems(items) {
  return make("section", {class: "problem", "aria-label": "Unreadable"}, make("h2", {}, `${count(items.length, "item")} could not be read`),
    ...items.map(([id, reason]) => make("p", {class: "reason"}, make("code", {}, id), `\n${reason}`)),
    facts([["Retry", make("code", {}, items[0][2])]]));
}

function aboutAccount(account) {
  const all = account.findings.length && link(listAddress("findings", {account: account.id}), number(account.findings.length));
  const said = [make("h1", {}, account.name), facts([["Id", make("code", {}, account.id)], ["Realm", account.realm], ["Callflows", number(account.callflows.length)],
    ["Feature codes", number(account.codes.length)], ["Numbers", number(account.numbers)], ["Findings", all]])];
  if (account.error) said.push(problem(account.error, account.flows.length));
  if (account.unreadable.length) said.push(badItems(account.unreadable));
  for (const [title, flows] of [["Callflows", account.callflows], ["Feature codes", account.codes]]) {
    if (!flows.length) continue;
    said.push(make("h2", {}, title), make("ul", {class: "flows"}, ...flows.slice(0, 300).map((flow) =>
      make("li", {}, link(flowAddress(flow), flow.title), make("span", {}, dialled(flow))))));
    if (flows.length > 300) said.push(make("p", {class: "none"}, `and ${count(flows.length - 300, "other")}, which the search finds`));
  }
  return said;
}

function aboutFindings() {
  if (!findings.length) return [make("h2", {}, "Findings"), make("p", {class: "none"}, "Nothing was found in the callflows.")];
  const codes = new Map(), sizes = new Map();
  for (const {code, severity} of findings) {
    if (!codes.has(code)) codes.set(code, {code, severity, size: 0});
    codes.get(code).size++;
    sizes.set(severity, (sizes.get(severity) || 0) + 1);
  }
  const names = {error: "error", warning: "warning", info: "note"};
  const chips = SEVERITIES.filter((each) => sizes.has(each)).map((severity) =>
    link(listAddress("findings", {severity}), badge(severity, MARKS[severity]), ` ${count(sizes.get(severity), names[severity])}`));
  return [make("h2", {}, "Findings"), make("p", {class: "chips"}, ...chips), make("ul", {class: "codes"}, ...[...codes.values()].map(({code, severity, size}) =>
    make("li", {}, link(listAddress("findings", {code}), badge(severity, code), make("span", {}, head.rules[code][1]), make("b", {}, number(size))))))];
}

function failures(title, items, rest) {
  if (!items.length) return [];
  const said = [make("h2", {}, title), make("ul", {class: "flows failures"}, ...items.slice(0, 50).map(([account, text]) =>
    make("li", {}, link(address(account.id), account.name), make("span", {}, text))))];
  if (items.length > 50) said.push(make("p", {class: "none"}, `and ${count(items.length - 50, "other")}, ${rest}`));
  return said;
}

function overview() {
  const tiles = [["accounts", "Accounts", accounts.length], ["callflows", "Callflows", sum((account) => account.callflows.length)],
    ["codes", "Feature codes", sum((account) => account.codes.length)], ["callflows", "Numbers", sum((account) => account.numbers)]];
  const said = [make("h1", {}, head.title), make("p", {class: "lead"}, `Written ${head.created}.`)];
  if (!JSON.parse($("end").textContent).complete) said.push(make("p", {class: "notice"}, "This report is incomplete: its run was interrupted or failed."));
  said.push(make("div", {class: "tiles"}, ...tiles.map(([name, title, size]) => link(listAddress(name), make("b", {}, number(size)), title))),
    ...failures(`${count(failed.length, "account")} failed`, failed.map((account) => [account, `${account.error.kind}: ${account.error.reason.split("\n")[0]}`]), "under Failed"),
    ...failures(`${count(unreadable.length, "item")} could not be read`, unreadable.map(({account, id, reason}) => [account, `${id}: ${reason}`]), "on the pages of their accounts"),
    ...aboutFindings());
  const keys = [["/", "search"], ["↑ ↓", "move"], ["Enter", "open"], ["Esc", "go back"]];
  said.push(make("p", {class: "keys"}, ...keys.flatMap(([key, what]) => [make("kbd", {}, key), ` ${what}  `])));
  return said;
}

// --- keys and buttons --------------------------------------------------------------------------------

function back() {
  if (document.activeElement === field && field.value) { field.value = ""; search(); return; }
  if (detailed >= 0 && document.activeElement !== field) { describe(-1); picture.focus(); return; }
  if (head.single) return;
  if (chosen && document.activeElement !== field) { list.focus(); go(listAddress()); return; }
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
  } else if (inPicture && picture.key(key)) { if (detailed >= 0 && picture.current !== detailed) describe(picture.current); }
  else if (onList && key === "ArrowDown") move(1);
  else if (onList && key === "ArrowUp") move(-1);
  else if (onList && key === "PageDown") move(Math.max(1, Math.floor(list.clientHeight / ROW) - 1));
  else if (onList && key === "PageUp") move(1 - Math.max(2, Math.floor(list.clientHeight / ROW)));
  else if (here === list && key === "Home") { cursor = -1; move(1); }
  else if (here === list && key === "End") move(found[tab].length);
  else if (onList && key === "Enter") { if (found[tab][cursor]) { if (here === field) list.focus(); choose(found[tab][cursor]); } }
  else return;
  event.preventDefault();
});
field.addEventListener("input", search);
list.addEventListener("scroll", () => requestAnimationFrame(paint), {passive: true});
for (const button of document.querySelectorAll("[role=tab]")) button.addEventListener("click", () => { turnTo(button.dataset.tab); if (!chosen) history.replaceState(null, "", listAddress()); });
$("back").addEventListener("click", () => go(listAddress()));
$("close").addEventListener("click", () => { describe(-1); picture.focus(); });
$("in").addEventListener("click", () => picture.zoom(picture.scale * 1.25));
$("out").addEventListener("click", () => picture.zoom(picture.scale / 1.25));
$("fit").addEventListener("click", () => picture.fit());
$("tree").addEventListener("click", (event) => { picture.turn(!picture.whole); event.currentTarget.setAttribute("aria-pressed", picture.whole); });
$("everything").addEventListener("click", (event) => {
  const all = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", all);
  picture.expand(all);
});
addEventListener("hashchange", open);
let wide = innerWidth;
new ResizeObserver(() => {
  paint();
  if (picture && innerWidth !== wide) picture.turn(picture.whole);
  wide = innerWidth;
}).observe(document.body);

document.body.classList.toggle("single", head.single);
$("name").textContent = head.title;
document.querySelector("[data-tab=failed]").hidden = !failed.length;
document.querySelector("[data-tab=codes]").hidden = !accounts.some((account) => account.codes.length);
document.querySelector("[data-tab=findings]").hidden = !findings.length;
fillFilters();
turnTo("callflows");
document.body.classList.remove("loading");
open();
