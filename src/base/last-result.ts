// What a pure function said last: for texts that come again and again in neighbouring requests.

/** Remembers one result, of the last text. */
export function lastResult<T>(make: (text: string) => T): (text: string) => T {
  let last: { readonly text: string; readonly result: T } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, result: make(text) };
    return last.result;
  };
}
