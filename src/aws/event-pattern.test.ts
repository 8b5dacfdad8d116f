import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePattern, PatternError } from "./event-pattern.ts";
import { threadCpuMs } from "../../tests/support/cpu-time.ts";

type Case = readonly [pattern: string, event: string];

const MATCHING: readonly Case[] = [
  // Literals; OR in arrays, AND over keys
  [`{"a":["x","y"]}`, `{"a":"y"}`],
  [`{"a":[1],"b":[true],"c":[null],"d":[""]}`, `{"a":1,"b":true,"c":null,"d":"","e":0}`],
  [`{"a":[300]}`, `{"a":3.0e2}`],
  [`{"a":["x"]}`, `{"a":["w","x"]}`],
  [`{"a":["x"]}`, `{"a":[["w"],["x"]]}`],
  [`{"a":[null]}`, `{"a":[null]}`],
  [`{"a":["::1"]}`, `{"a":"0:0:0:0:0:0:0:1"}`],
  // Paths
  [`{"a":{"b":["x"]}}`, `{"a":{"b":"x"}}`],
  [`{"a.b":["x"]}`, `{"a":{"b":"x"}}`],
  [`{"a":{"b":["x"]}}`, `{"a.b":"x"}`],
  [`{"a.b":{"c":["x"]}}`, `{"a":{"b.c":"x"}}`],
  [`{"a":{"b":[1]},"a.c":[2]}`, `{"a":{"b":1,"c":2}}`],
  [`{"a":["x"],"a.b":["y"]}`, `{"a":["x",{"b":"y"}]}`],
  [`{"__proto__":["x"]}`, `{"__proto__":"x"}`],
  [`{"constructor":[{"exists":false}]}`, `{"a":1}`],
  // Arrays of objects
  [`{"a":{"b":[1],"c":[2]}}`, `{"a":[{"b":0,"c":2},{"b":1,"c":2}]}`],
  [`{"a":{"b":[1],"c":{"d":[2],"e":[3]}}}`, `{"a":[{"b":1,"c":[{"d":2},{"d":2,"e":3}]}]}`],
  [`{"a":{"b":[1]},"x":{"y":[2]}}`, `{"a":[{},{"b":1}],"x":[{"y":2}]}`],
  [`{"a":{"b":[1],"c":[{"exists":false}]}}`, `{"a":[{"b":1},{"b":2,"c":3}]}`],
  [`{"a":{"b":[1],"c":[2]}}`, `{"a":[{"b":1}],"a.c":2}`],
  // exists
  [`{"a":[{"exists":true}]}`, `{"a":null}`],
  [`{"a":[{"exists":true}]}`, `{"a":[""]}`],
  [`{"a":[{"exists":false}]}`, `{"b":1}`],
  [`{"a":[{"exists":false}]}`, `{"a":[]}`],
  [`{"a":[{"exists":false}]}`, `{"a":{"b":1}}`],
  [`{"a":["x",{"exists":false}]}`, `{}`],
  [`{"a":["x",{"exists":false}]}`, `{"a":"x"}`],
  // Text
  [`{"a":[{"prefix":"x"}]}`, `{"a":"xy"}`],
  [`{"a":[{"prefix":""}]}`, `{"a":""}`],
  [`{"a":[{"prefix":{"equals-ignore-case":"XY"}}]}`, `{"a":"xyz"}`],
  [`{"a":[{"suffix":".png"}]}`, `{"a":"a.png"}`],
  [`{"a":[{"suffix":{"equals-ignore-case":".PNG"}}]}`, `{"a":"a.png"}`],
  [`{"a":[{"equals-ignore-case":"StraßE"}]}`, `{"a":"straße"}`],
  [`{"a":[{"wildcard":"a*c"}]}`, `{"a":"abbc"}`],
  [`{"a":[{"wildcard":"a*c"}]}`, `{"a":"ac"}`],
  [`{"a":[{"wildcard":"*ab*ba*"}]}`, `{"a":"xabbax"}`],
  [`{"a":[{"wildcard":"a\\\\*\\\\\\\\"}]}`, `{"a":"a*\\\\"}`],
  [`{"a":[{"wildcard":""}]}`, `{"a":""}`],
  // Numbers
  [`{"a":[{"numeric":["=",1]}]}`, `{"a":1.0}`],
  [`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5}`],
  [`{"a":[{"numeric":[">=",-1.5]}]}`, `{"a":-1.5}`],
  [`{"a":[{"numeric":["<",1e10]}]}`, `{"a":7}`],
  // Addresses
  [`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.0.255"}`],
  [`{"a":[{"cidr":"10.0.0.77/24"}]}`, `{"a":"10.0.0.1"}`],
  [`{"a":[{"cidr":"10.0.0.1/32"}]}`, `{"a":"10.0.0.1"}`],
  [`{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db8:ffff::1"}`],
  // anything-but
  [`{"a":[{"anything-but":"x"}]}`, `{"a":"y"}`],
  [`{"a":[{"anything-but":"x"}]}`, `{"a":null}`],
  [`{"a":[{"anything-but":"x"}]}`, `{"a":["x","y"]}`],
  [`{"a":[{"anything-but":["x","y"]}]}`, `{"a":1}`],
  [`{"a":[{"anything-but":[1,2]}]}`, `{"a":"1"}`],
  [`{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":1}`],
  [`{"a":[{"anything-but":{"prefix":["x","y"]}}]}`, `{"a":"z"}`],
  [`{"a":[{"anything-but":{"suffix":"x"}}]}`, `{"a":"xy"}`],
  [`{"a":[{"anything-but":{"equals-ignore-case":["x"]}}]}`, `{"a":"y"}`],
  [`{"a":[{"anything-but":{"wildcard":"x*z"}}]}`, `{"a":"xy"}`],
  // $or
  [`{"$or":[{"a":[1]},{"b":[2]}]}`, `{"b":2}`],
  [`{"x":[0],"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":{"d":[3]}}]}]}`, `{"x":0,"c":{"d":3}}`],
  [`{"a":{"$or":[{"b":[1]},{"c":[2]}],"d":[4]}}`, `{"a":[{"b":9,"d":4},{"c":2,"d":4}]}`],
  [`{"$or":["x"]}`, `{"$or":"x"}`],
  [`{"$or":[{"prefix":"x"},{"suffix":"y"}]}`, `{"$or":"ay"}`],
];

const NOT_MATCHING: readonly Case[] = [
  [`{"a":["x"]}`, `{"a":"X"}`],
  [`{"A":["x"]}`, `{"a":"x"}`],
  [`{"a":["x"],"b":["y"]}`, `{"a":"x"}`],
  [`{"a":["1"]}`, `{"a":1}`],
  [`{"a":["true"]}`, `{"a":true}`],
  [`{"a":[null]}`, `{"a":[]}`],
  [`{"a":[null]}`, `{}`],
  [`{"a":[""]}`, `{}`],
  [`{"a":["x"]}`, `{"a":{"b":"x"}}`],
  [`{"a":{"b":["x"]}}`, `{"a":"{\\"b\\":\\"x\\"}"}`],
  [`{"a":{"b":[1],"c":[2]}}`, `{"a":[{"b":1},{"c":2}]}`],
  [`{"a":{"b":[1],"c":[2]}}`, `{"a":[[{"b":1}],[{"c":2}]]}`],
  [`{"a":{"b":[1],"c":{"d":[2],"e":[3]}}}`, `{"a":[{"b":1,"c":[{"d":2},{"e":3}]}]}`],
  [`{"a":{"b":[{"exists":false}]}}`, `{"a":[{"b":1},{"c":1}]}`],
  [`{"a":[{"exists":true}]}`, `{"a":[]}`],
  [`{"a":[{"exists":true}]}`, `{"a":{"b":1}}`],
  [`{"a":[{"exists":true}]}`, `{}`],
  [`{"a":[{"exists":false}]}`, `{"a":null}`],
  [`{"a":[{"prefix":"x"}]}`, `{"a":"yx"}`],
  [`{"a":[{"prefix":"1"}]}`, `{"a":12}`],
  [`{"a":[{"prefix":""}]}`, `{}`],
  [`{"a":[{"wildcard":""}]}`, `{"a":"x"}`],
  [`{"a":[{"wildcard":"a*a"}]}`, `{"a":"a"}`],
  [`{"a":[{"wildcard":"*ab*ba*"}]}`, `{"a":"xabax"}`],
  [`{"a":[{"wildcard":"*"}]}`, `{"a":1}`],
  [`{"a":[{"numeric":[">",0,"<",5]}]}`, `{"a":5}`],
  [`{"a":[{"numeric":["<",5]}]}`, `{"a":null}`],
  [`{"a":[{"numeric":["=",300]}]}`, `{"a":"300"}`],
  [`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.1.0"}`],
  [`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"::ffff:10.0.0.1"}`],
  [`{"a":[{"cidr":"10.0.0.0/0"}]}`, `{"a":"host"}`],
  [`{"a":[{"anything-but":"x"}]}`, `{"b":"y"}`],
  [`{"a":[{"anything-but":["x","y"]}]}`, `{"a":["x","y"]}`],
  [`{"a":[{"anything-but":{"prefix":["x","y"]}}]}`, `{"a":"yes"}`],
  [`{"a":[{"anything-but":{"wildcard":"*y*"}}]}`, `{"a":"xyz"}`],
  [`{"$or":[{"a":[1]},{"b":[2]}]}`, `{"a":2,"b":1}`],
  [`{"$or":[{"a":[1]},{"b":[2]}],"c":[3]}`, `{"a":1}`],
  [`{"a":["x"]}`, `["x"]`],
  [`{"a":["x"]}`, `"x"`],
];

const matches = ([pattern, event]: Case) => compilePattern(JSON.parse(pattern)).matches(JSON.parse(event));

test("patterns match what EventBridge matches", () => {
  for (const one of MATCHING) assert.ok(matches(one), one.join("  "));
  for (const one of NOT_MATCHING) assert.ok(!matches(one), one.join("  "));
});

const REFUSED: readonly [pattern: string, reason: string][] = [
  [`[]`, "Filter is not an object"],
  [`null`, "Filter is not an object"],
  [`{}`, "Empty objects are not allowed"],
  [`{"a":{}}`, "Empty objects are not allowed"],
  [`{"a":[]}`, "Empty arrays are not allowed"],
  [`{"k":"x"}`, '"k" must be an object or an array'],
  [`{"a":[[]]}`, "Match value must be String, number, true, false, or null"],
  [`{"a":[{}]}`, "Match expression name not found"],
  [`{"a":[{"X":1}]}`, "Unrecognized match type X"],
  [`{"a":[{"Prefix":"x"}]}`, "Unrecognized match type Prefix"],
  [`{"a":[{"prefix":"x","suffix":"y"}]}`, "Only one key allowed in match expression"],
  [`{"a":[{"numeric":[">",0,">",5]}]}`, "Bad numeric range operator: >"],
  [`{"a":[{"numeric":["<","5"]}]}`, "Value of < must be numeric"],
  [`{"a":[{"numeric":[">",0,"<","5"]}]}`, "Value of < must be numeric"],
  [`{"a":[{"numeric":">"}]}`, "Value of numeric must be an array."],
  [`{"a":[{"numeric":["=","1"]}]}`, "Value of equals must be numeric"],
  [`{"a":[{"numeric":[">",5,"<",5]}]}`, "Bottom must be less than top"],
  [`{"a":[{"numeric":["=",1,"<",5]}]}`, "Too many elements in numeric expression"],
  [`{"a":[{"numeric":[">",1,"<",5,6]}]}`, "Too many terms in numeric range expression"],
  [`{"a":[{"numeric":["=",1],"x":1}]}`, "Too many elements in numeric expression"],
  [`{"a":[{"numeric":["!",1]}]}`, "Unrecognized numeric range operator: !"],
  [`{"a":[{"numeric":[1]}]}`, "Invalid member in numeric match: 1"],
  [`{"a":[{"prefix":1}]}`, "prefix match pattern must be a string"],
  [`{"a":[{"suffix":1}]}`, "suffix match pattern must be a string"],
  [`{"a":[{"prefix":{"x":"y"}}]}`, "Unsupported prefix pattern: x"],
  [`{"a":[{"wildcard":1}]}`, "wildcard match pattern must be a string"],
  [`{"a":[{"wildcard":"arn:aws:events:us-east-1:**:event-bus/*"}]}`, "Consecutive wildcard characters at pos 26"],
  [`{"a":[{"wildcard":"a\\\\b"}]}`, "Invalid escape character at pos 2"],
  [`{"a":[{"equals-ignore-case":["x"]}]}`, "equals-ignore-case match pattern must be a string"],
  [`{"a":[{"cidr":"10.0.0.0"}]}`, "Malformed CIDR, one '/' required"],
  [`{"a":[{"cidr":"10.0.0.0/x"}]}`, "Malformed CIDR, mask bits must be an integer"],
  [`{"a":[{"cidr":"10.0.0.0/33"}]}`, "IPv4 mask bits must be < 33"],
  [`{"a":[{"cidr":"xx/24"}]}`, "Nonstandard IP address: xx"],
  [`{"a":[{"exists":"true"}]}`, "exists match pattern must be either true or false."],
  [`{"a":[{"anything-but":true}]}`, "Value of anything-but must be an array or single string/number value."],
  [`{"a":[{"anything-but":[null]}]}`, "Inside anything but list, start|null|boolean is not supported."],
  [`{"a":[{"anything-but":["x",1]}]}`, "Inside anything but list, either all values are number or string, mixed type is not supported"],
  [`{"a":[{"anything-but":{"prefix":1}}]}`, "prefix/suffix match pattern must be a string"],
  [`{"a":[{"anything-but":{"prefix":""}}]}`, "Null prefix/suffix not allowed"],
  [`{"a":[{"anything-but":{"numeric":["=",1]}}]}`, "Unsupported anything-but pattern: numeric"],
];

test("what is no pattern is refused with event-ruler's reason", () => {
  for (const [pattern, reason] of REFUSED)
    assert.throws(() => compilePattern(JSON.parse(pattern)), new PatternError(reason), `${pattern}  ${reason}`);
});

test("alternatives are bounded", () => {
  const or = (index: number) => ({ $or: [0, 1].map((value) => ({ [`k${index}`]: [value] })) });
  const nested = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`o${index}`, or(index)]));
  assert.ok(compilePattern(nested(9)).matches(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`o${i}`, { [`k${i}`]: 1 }]))));
  assert.throws(() => compilePattern(nested(30)), /^PatternError: Rule is too complex/);
});

type Flat = { path: string; value: unknown; places: ReadonlyMap<number, number> };

/** Straight from the definition: every choice of one value per field. */
function slowly(pattern: Readonly<Record<string, readonly unknown[]>>, event: unknown): boolean {
  let arrays = 0;
  const flat: Flat[] = [];
  const walk = (value: unknown, path: string, places: ReadonlyMap<number, number>): void => {
    if (Array.isArray(value)) {
      const array = arrays++;
      for (const [index, one] of value.entries())
        walk(one, path, typeof one === "object" && one !== null ? new Map([...places, [array, index]]) : places);
    } else if (typeof value === "object" && value !== null)
      for (const [key, one] of Object.entries(value)) walk(one, path === "" ? key : `${path}.${key}`, places);
    else flat.push({ path, value, places });
  };
  walk(event, "", new Map());
  const agree = (a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>) =>
    [...a].every(([array, index]) => (b.get(array) ?? index) === index);
  const fields = Object.entries(pattern).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const search = (at: number, places: ReadonlyMap<number, number>): boolean => {
    const [path, wanted] = fields[at] ?? [undefined, []];
    if (path === undefined) return true;
    const here = flat.filter((one) => one.path === path && agree(places, one.places));
    if (here.length === 0) return wanted.some((one) => typeof one === "object") && search(at + 1, places);
    return here.some(({ value, places: own }) => wanted.includes(value) && search(at + 1, new Map([...places, ...own])));
  };
  return search(0, new Map());
}

/** https://en.wikipedia.org/wiki/Linear_congruential_generator */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

test("the quick search finds what the definition finds, in random events", () => {
  const random = seeded(7);
  const KEYS = ["a", "b", "a.b", "c"];
  const keyed = (make: () => unknown) => Object.fromEntries(KEYS.filter(() => random(2) === 0).map((key) => [key, make()]));
  const value = (depth: number): unknown => {
    const kind = depth === 0 ? 0 : random(4);
    if (kind === 0) return random(2);
    if (kind === 1) return keyed(() => value(depth - 1));
    return Array.from({ length: random(3) }, () => value(depth - 1));
  };
  const PATHS = ["a", "a.b", "a.b.c", "a.c", "b", "b.a", "b.c", "c.a", "c.b.a"];
  let found = 0;
  for (let round = 0; round < 20_000; round++) {
    const event = keyed(() => value(4));
    const wanted = () => (random(4) === 0 ? [{ exists: false }] : [random(2)]);
    const pattern = Object.fromEntries(PATHS.filter(() => random(3) === 0).map((path) => [path, wanted()]));
    if (Object.keys(pattern).length === 0) continue;
    const expected = slowly(pattern, event);
    if (expected) found++;
    assert.equal(compilePattern(pattern).matches(event), expected, JSON.stringify({ pattern, event }));
  }
  assert.ok(found > 300, String(found));
});

test("hostile events and patterns are no slower than others", () => {
  const beganMs = threadCpuMs();
  const many = (make: (index: number) => unknown) => Array.from({ length: 8000 }, (_, index) => make(index));
  const both = compilePattern({ a: { b: [1], c: [2], d: [3] } });
  assert.ok(!both.matches({ a: many((index) => [{ b: 1 }, { c: 2 }, { d: 3 }][index % 3]) }));
  assert.ok(!both.matches({ a: [many((index) => (index % 2 === 0 ? { b: 1, d: 3 } : { c: 2, d: 3 }))] }));
  const stars = compilePattern({ a: [{ wildcard: `${"*a".repeat(500)}*b` }, { wildcard: `*${"a".repeat(3000)}b*` }] });
  assert.ok(!stars.matches({ a: "a".repeat(200_000) }));
  const spelled = {
    "a.b.c.d.e.f": many(() => ({ g: 1 })),
    "a.b": many(() => ({ "c.d.e.f": [{ g: 1 }] })),
    a: [{ b: { c: many(() => ({})) } }],
  };
  assert.ok(!compilePattern({ "a.b.c.d.e.f": { g: [1], h: [1], i: [1] } }).matches(spelled));
  const tookMs = threadCpuMs() - beganMs;
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
});
