// Writes event.count numbered lines to the log, each event.width wide, and one raw line to each of stdout and stderr.
export const handler = async ({ count = 1, width = 0 } = {}) => {
  // oxlint-disable-next-line no-console -- this is how a function logs
  for (let n = 0; n < count; n++) console.log(`line ${n}`.padEnd(width, "."));
  process.stdout.write("raw out\n");
  process.stderr.write("raw err\n");
  return count;
};
