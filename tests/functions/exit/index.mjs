// Ends its process with event.code, or by event.signal.
export const handler = async ({ code = 0, signal } = {}) => {
  // oxlint-disable-next-line no-console -- this is how a function logs
  console.log("last words");
  if (signal === undefined) process.exit(code);
  process.kill(process.pid, signal);
  await new Promise((resolve) => setTimeout(resolve, 10_000));
};
