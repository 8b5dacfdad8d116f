// Holds more and more memory, outside of the heap, until there is none.
export const handler = async () => {
  const held = [];
  for (;;) held.push(Buffer.alloc(8 * 2 ** 20, 1));
};
