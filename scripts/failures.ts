// A reporter beside Node's own: which tests failed and why, behind what their files wrote. It says nothing when all passed.
//
// What a run printed may be all that anybody ever sees of it, and files that run side by side mix what they write.
import { relative } from "node:path";
import { cwd } from "node:process";
import type { TestEvent } from "node:test/reporters";

/** Of what one file writes, its end. */
const KEPT_CHARS = 30_000;

interface Failed {
  readonly place: string;
  readonly file: string;
  readonly name: string;
  readonly why: string;
}

interface Failure {
  readonly message: string;
  readonly failureType?: string;
  readonly cause?: unknown;
}

/** The error itself, with those that led to it. */
function reasonOf(error: Failure): string {
  const texts: string[] = [];
  for (let one: unknown = error.cause ?? error; one !== undefined && one !== null && texts.length < 5; one = (one as Failure).cause)
    texts.push(typeof one === "object" ? (one as Failure).message : JSON.stringify(one));
  return texts.join("\ncaused by: ");
}

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, "    ");

// oxlint-disable-next-line import/no-default-export -- Node takes a reporter from there
export default async function* failures(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const written = new Map<string, string>();
  const failed: Failed[] = [];
  for await (const { type, data } of source) {
    if (type === "test:stdout" || type === "test:stderr") {
      const file = data.file ?? "";
      written.set(file, `${written.get(file) ?? ""}${data.message}`.slice(-KEPT_CHARS));
    } else if (type === "test:fail") {
      const error = data.details.error as Failure;
      if (error.failureType === "subtestsFailed") continue; // those are told themselves
      const file = data.file ?? data.name;
      const place = `${relative(cwd(), file)}${data.line === undefined ? "" : `:${data.line}`}`;
      failed.push({ place, file, name: data.name, why: reasonOf(error) });
    }
  }
  for (const file of new Set(failed.map((one) => one.file))) {
    const text = written.get(file);
    if (text !== undefined) yield `\n-- what ${relative(cwd(), file)} wrote, its end:\n${text.trimEnd()}\n`;
  }
  if (failed.length > 0) yield `\n-- ${failed.length} failed:\n`;
  for (const { place, name, why } of failed) yield `${place}  ${name}\n${indented(why)}\n`;
}
