// How many tags a resource may have.
import { limits } from "../limits.ts";
import { invalidParameter } from "./faults.ts";

export function checkTags(all: Readonly<Record<string, string>>): void {
  if (Object.keys(all).length > limits.tagsMax) throw invalidParameter("Number of tags exceeds resource tag limit.");
}
