// Node functions, or libraries of theirs, that change what is everybody's: a table of node.test.ts. AWS's runtime client survives these.
import type { Case } from "./node-cases.ts";

export const PROTOTYPES: readonly Case[] = [
  {
    title: "with a toJSON on every object, as old libraries define it",
    files: {
      "index.js":
        'Object.prototype.toJSON = function () { return `${Object.keys(this)}` }; console.log("still logs"); exports.handler = async (event) => ({ first: 1, second: 2 })',
    },
    logs: [/still logs/],
    result: "first,second",
  },
  {
    title: "with a toJSON on every object that has no form for it",
    files: { "index.js": "Object.prototype.toJSON = () => undefined; exports.handler = async (event) => event.text" },
    event: { text: "as it is" },
    result: "as it is",
  },
  {
    title: "with the prototypes of Prototype.js",
    files: {
      "index.js": [
        "const { prototype } = Array;",
        "prototype.entries = function () { return this.slice() };",
        "prototype.toJSON = function () { return `[${this.length}]` };",
        "String.prototype.toJSON = function () { return 'text' };",
        "prototype.each = prototype.forEach; prototype.map = prototype.collect = prototype.filter;",
        "Object.prototype.extra = 'enumerable'; Object.prototype.requestId = 'nobody'; Object.prototype.exits = true;",
        "console.log('still logs'); exports.handler = async (event) => ({ list: [1, 2, 3] })",
      ].join("\n"),
    },
    logs: [/still logs/],
    result: { list: "[3]" },
  },
  {
    title: "with a Buffer and variables of the function's own",
    files: {
      "index.js":
        "globalThis.Buffer = class Buffer {}; process.env = { ...process.env, MINE: 'mine' }; exports.handler = async () => process.env.MINE",
    },
    result: "mine",
  },
];
