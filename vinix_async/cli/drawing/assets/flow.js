"use strict";

// Draws a callflow as the same tree as in the SVG, with boxes that open and close. A box is the array
// [parent, module, label, name, disabled, target]; the head is [-1, "", "", title, 0, "", ...numbers].

const WIDTH = 188, HEIGHT = 56, HEAD = 252, SIDE = 20, DOWN = 30, MARGIN = 24, BREADTH = 12, FIRST = 80;
const LABEL_ROOM = 240, TEXT_ROOM = WIDTH - 58, HEAD_ROOM = HEAD - 56;
const head = JSON.parse(document.getElementById("head").textContent);

function make(tag, attributes, ...inner) {
  const drawn = ["svg", "g", "rect", "path", "text", "title"].includes(tag);
  const element = drawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) element.setAttribute(name, value);
  element.append(...inner.filter((each) => each !== null && each !== ""));
  return element;
}

// --- text, measured as text_width.py does -------------------------------------------------------------

const known = {};
for (const weight of ["regular", "bold"]) {
  known[weight] = new Map(Object.entries(head.widths[weight]).flatMap(([width, letters]) => [...letters].map((letter) => [letter, +width])));
}

function widthOf(letter, weight) {
  const width = known[weight].get(letter), code = letter.codePointAt(0);
  if (width !== undefined) return width;
  if (/\p{Mn}|\p{Cf}/u.test(letter)) return 0;
  return head.widths.ranges.find(([first, last]) => first <= code && code <= last)?.[2] ?? head.widths.other;
}

function fit(text, style, room) {
  const [size, bold] = head.texts[style], weight = bold ? "bold" : "regular", letters = [...text];
  const widths = letters.map((letter, place) => letters[place - 1] === "\u200d" ? 0 : widthOf(letter, weight));
  let sum = widths.reduce((total, width) => total + width, 0);
  if (sum * size / 1000 <= room) return [text, sum * size / 1000];
  sum += widthOf("…", weight);
  while (sum * size / 1000 > room && letters.length) { letters.pop(); sum -= widths.pop(); }
  return fit(letters.join("").trimEnd() + "…", style, Infinity);
}

function write(text, style, x, y, room) {
  const [shown, width] = fit(text, style, room), [size, bold] = head.texts[style];
  const length = width ? {textLength: width, lengthAdjust: "spacingAndGlyphs"} : {};
  return make("text", {class: style, x, y, "font-size": size, "font-weight": bold ? 700 : null, ...length}, shown);
}

class Picture {
  // follow(target) returns a function that opens this callflow of the page, or null.
  constructor(host, boxes, follow) {
    Object.assign(this, {host, boxes, follow, scale: 0, current: 0});
    this.below = boxes.map(() => []);
    boxes.forEach((box, place) => { if (place) this.below[box[0]].push(place); });
    this.sizes = boxes.map(() => 1);
    for (let place = boxes.length - 1; place > 0; place--) this.sizes[boxes[place][0]] += this.sizes[place];
    this.open(FIRST, BREADTH);
    this.draw();
    this.host.scrollLeft = this.at(0).x * this.scale - this.host.clientWidth / 2;
    this.host.scrollTop = 0;
  }

  // Show the upper `limit` boxes.
  open(limit, breadth) {
    this.shown = this.boxes.map(() => 0);
    const waiting = [0];
    let room = limit;
    for (let next = 0; next < waiting.length && room > 0; next++) {
      const place = waiting[next], kids = this.below[place];
      let count = Math.min(kids.length, breadth, room);
      if (count + 1 === kids.length && this.sizes[kids[count]] === 1) count++;
      this.shown[place] = count;
      room -= count;
      for (let each = 0; each < count; each++) waiting.push(kids[each]);
    }
  }

  // The visible boxes, parents first.
  visible() {
    const found = [], waiting = [[0, -1, 1, 0]];
    while (waiting.length) {
      const [place, parent, level, more] = waiting.pop();
      const here = found.push({place, parent, level, more, kids: []}) - 1;
      if (parent >= 0) found[parent].kids.push(here);
      if (more) continue;
      const kids = this.below[place], hidden = kids.slice(this.shown[place]);
      if (hidden.length) waiting.push([place, here, level + 1, hidden.reduce((sum, kid) => sum + this.sizes[kid], 0)]);
      for (let each = this.shown[place] - 1; each >= 0; each--) waiting.push([kids[each], here, level + 1, 0]);
    }
    return found;
  }

  // The lines below the title: the numbers that are not the title themselves.
  lines() {
    const numbers = this.boxes[0].slice(6).filter((number) => number !== this.boxes[0][3]);
    return numbers.length > 3 ? [...numbers.slice(0, 2), `+ ${numbers.length - 2} more`] : numbers;
  }

  measure(seen) {
    const lines = this.lines().length;
    for (const each of seen) {
      const first = each.parent < 0;
      each.text = `+ ${each.more.toLocaleString("en")} more`;
      each.w = first ? HEAD : each.more ? fit(each.text, "count", WIDTH)[1] + 32 : WIDTH;
      each.h = first ? 36 + 18 * lines + (lines ? 6 : 0) : each.more ? 32 : HEIGHT;
      each.label = each.more ? "" : this.boxes[each.place][2];
      each.pill = each.label ? fit(each.label, "branch", LABEL_ROOM)[1] + 16 : 0;
    }
  }

  // Place each box above the middle of its children, as layout.py does; return the size of the whole.
  arrange(seen) {
    for (let here = seen.length - 1; here >= 0; here--) {
      const each = seen[here], half = Math.max(each.w, each.pill) / 2;
      let reach = 0, middle = half;
      for (const kid of each.kids) { seen[kid].offset = reach; reach += seen[kid].span + SIDE; }
      reach = Math.max(reach - SIDE, 0);
      if (each.kids.length) {
        const first = seen[each.kids[0]], last = seen[each.kids[each.kids.length - 1]];
        middle = (first.offset + first.middle + last.offset + last.middle) / 2;
      }
      const lead = Math.max(0, half - middle);
      for (const kid of each.kids) seen[kid].offset += lead;
      each.middle = middle + lead;
      each.span = Math.max(reach + lead, each.middle + half);
    }
    seen[0].left = seen[0].y = 0;
    for (const each of seen) {
      each.x = each.left + each.middle;
      const labelled = each.kids.some((kid) => seen[kid].label);
      const drop = DOWN * (labelled ? 2 : 1) + (each.kids.length === 1 ? 0 : 6);
      for (const kid of each.kids) { seen[kid].left = each.left + seen[kid].offset; seen[kid].y = each.y + each.h + drop; }
    }
    return [seen[0].span, seen.reduce((most, each) => Math.max(most, each.y + each.h), 0)];
  }

  // Place the boxes below each other, for a phone.
  outline(seen) {
    let y = 0, wide = 0;
    for (const each of seen) {
      const left = Math.min(each.level - 1, 24) * 16;
      if (each.level > 1) y += each.label ? 36 : 12;
      each.x = left + each.w / 2;
      each.y = y;
      y += each.h;
      wide = Math.max(wide, left + each.w, each.pill ? left + 18 + each.pill : 0);
    }
    return [wide, y];
  }

  edge(from, to) {
    const y = from.y + from.h;
    if (this.narrow) return `M${from.x - from.w / 2 + 8} ${y}V${to.y + to.h / 2 - 6}q0 6 6 6H${to.x - to.w / 2}`;
    const across = to.x - from.x, turn = Math.min(8, Math.abs(across) / 2) * Math.sign(across), round = Math.abs(turn);
    if (Math.abs(across) < 1) return `M${from.x} ${y}V${to.y}`;
    return `M${from.x} ${y}V${y + 18 - round}q0 ${round} ${turn} ${round}H${to.x - turn}q${turn} 0 ${turn} ${round}V${to.y}`;
  }

  draw() {
    this.narrow = this.host.clientWidth < 640;
    const seen = this.seen = this.visible();
    this.measure(seen);
    const [wide, high] = this.narrow ? this.outline(seen) : this.arrange(seen);
    const margin = this.narrow ? 14 : MARGIN;
    this.size = [wide + 2 * margin, high + 2 * margin];
    this.margin = margin;
    const fit = Math.min(1, this.host.clientWidth / this.size[0]);
    if (!this.scale) this.scale = fit >= 0.75 ? fit : 0.9;
    const edges = [], labels = [], drawn = [];
    for (const each of seen) {
      const box = this.boxes[each.place];
      if (each.parent >= 0) {
        edges.push(make("path", {class: !each.more && box[4] ? "edge off" : "edge", d: this.edge(seen[each.parent], each)}));
        if (each.label) labels.push(this.pill(each));
      }
      each.element = each.more ? this.chip(each) : this.box(each, box);
      drawn.push(each.element);
    }
    this.svg = make("svg", {class: "flow", role: "tree", "aria-label": this.boxes[0][3] + ", callflow"}, ...edges, ...labels, ...drawn);
    this.svg.setAttribute("viewBox", `${-margin} ${-margin} ${this.size[0]} ${this.size[1]}`);
    this.zoom(this.scale);
    this.host.replaceChildren(this.svg);
    this.mark(this.seen.findIndex((each) => each.place === this.current && !each.more));
  }

  zoom(scale) {
    this.scale = Math.min(2, Math.max(0.05, scale));
    this.svg.setAttribute("width", this.size[0] * this.scale);
    this.svg.setAttribute("height", this.size[1] * this.scale);
  }

  fit() { this.zoom(Math.min(1, this.host.clientWidth / this.size[0], this.host.clientHeight / this.size[1])); }

  at(place) { const each = this.seen.find((one) => one.place === place && !one.more); return {x: each.x + this.margin, y: each.y + this.margin}; }

  pill(each) {
    const x = this.narrow ? each.x - each.w / 2 + 18 + each.pill / 2 : each.x, y = each.y - (this.narrow ? 15 : 20);
    return make("g", {class: "label", transform: `translate(${x} ${y})`, "aria-hidden": "true"}, make("title", {}, each.label),
      make("rect", {x: -each.pill / 2, y: -10, width: each.pill, height: 20, rx: 10}), write(each.label, "branch", 0, 4, LABEL_ROOM));
  }

  item(each, attributes, ...inner) {
    const place = `translate(${each.x - each.w / 2} ${each.y})`;
    const element = make("g", {role: "treeitem", tabindex: "-1", "aria-level": each.level, transform: place, ...attributes}, ...inner);
    element.addEventListener("click", () => { this.mark(this.seen.indexOf(each), true); this.act(each); });
    return element;
  }

  chip(each) {
    return this.item(each, {class: "more", "aria-label": `${each.text}: press Enter to show them`},
      make("rect", {width: each.w, height: each.h, rx: 16}), write(each.text, "count", each.w / 2, 20, WIDTH));
  }

  box(each, [, module, label, name, disabled, target, ...numbers]) {
    if (each.parent < 0) {
      const lines = this.lines();
      return this.item(each, {class: "box head", "aria-label": [name, ...numbers].join(", "), "aria-expanded": this.shown[0] > 0},
        make("title", {}, name), make("rect", {class: "frame", width: each.w, height: each.h, rx: 12}), icon("head", 15, 10),
        write(name, "title", 44, 23, HEAD_ROOM), ...lines.map((line, row) => write(line, "number", 44, 44 + 18 * row, HEAD_ROOM)));
    }
    const kind = head.kinds[module] || "other", kids = this.below[each.place].length;
    const says = [name, disabled ? "disabled" : ""].filter(Boolean).join(" · "), title = [module || "end", says].filter(Boolean).join(" · ");
    const linked = target && this.follow(target) ? "link" : "";
    return this.item(each, {
      class: ["box", kind, disabled ? "off" : "", linked].filter(Boolean).join(" "),
      "aria-label": [label, title, linked ? "opens another callflow" : ""].filter(Boolean).join(", "),
      "aria-expanded": kids ? this.shown[each.place] > 0 : null,
    }, make("title", {}, title), make("rect", {class: "frame", width: each.w, height: each.h, rx: 10}),
      make("rect", {class: "tile", x: 10, y: 14, width: 28, height: 28, rx: 7}), icon(kind, 16, 20),
      write(module || "end", "module", 48, says ? 25 : 33, TEXT_ROOM), says ? write(says, "name", 48, 42, TEXT_ROOM) : null);
  }

  // A click or Enter follows a jump, shows what is folded, or opens and closes a box.
  act(each) {
    const box = this.boxes[each.place], jump = !each.more && box[5] ? this.follow(box[5]) : null;
    if (jump) { jump(); return; }
    const kids = this.below[each.place].length;
    if (!kids || !each.place && !each.more) return;
    this.show(each, each.more ? Math.min(kids, this.shown[each.place] + BREADTH) : this.shown[each.place] ? 0 : Math.min(kids, BREADTH));
  }

  show(each, count) {
    const before = this.at(each.place), left = this.host.scrollLeft, top = this.host.scrollTop;
    const first = each.more ? this.below[each.place][this.shown[each.place]] : each.place;
    const opened = this.below[each.place].slice(this.shown[each.place], count);
    while (opened.length) {  // small subtrees open completely
      const kid = opened.pop();
      if (this.sizes[kid] <= BREADTH) { this.shown[kid] = this.below[kid].length; opened.push(...this.below[kid]); }
    }
    this.shown[each.place] = count;
    this.current = first;
    this.draw();
    const after = this.at(each.place);
    this.host.scrollLeft = left + (after.x - before.x) * this.scale;
    this.host.scrollTop = top + (after.y - before.y) * this.scale;
    this.focus();
  }

  expand(all) { if (all) this.open(Infinity, Infinity); else this.open(FIRST, BREADTH); this.current = 0; this.draw(); }

  mark(here, focus) {
    if (here < 0) here = 0;
    this.svg.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    const each = this.seen[here];
    each.element.setAttribute("tabindex", "0");
    this.here = here;
    this.current = each.place;
    if (focus) this.focus();
  }

  focus() {
    const element = this.seen[this.here].element;
    element.focus({preventScroll: true});
    element.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  // An arrow moves to the box in its direction. Returns whether the picture handled the key.
  key(key) {
    const each = this.seen[this.here], siblings = each.parent < 0 ? [0] : this.seen[each.parent].kids, place = siblings.indexOf(this.here);
    const down = each.kids[0], up = each.parent, before = siblings[place - 1], after = siblings[place + 1];
    const next = {Home: 0, End: this.seen.length - 1, ...(this.narrow
      ? {ArrowDown: this.here + 1, ArrowUp: this.here - 1, ArrowRight: down, ArrowLeft: up}
      : {ArrowDown: down, ArrowUp: up, ArrowRight: after, ArrowLeft: before})};
    if (key === "Enter" || key === " ") this.act(each);
    else if (key in next) { if (this.seen[next[key]]) this.mark(next[key], true); } else return false;
    return true;
  }
}

const icon = (kind, x, y) => make("path", {class: "icon", transform: `translate(${x} ${y})`, d: head.icons[kind]});
