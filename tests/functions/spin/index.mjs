// Keeps its CPU busy for event.ms milliseconds, or for ever, and tells how much CPU time it got.
export const handler = async ({ ms = Infinity } = {}) => {
  const began = Date.now();
  const cpu = process.cpuUsage();
  while (Date.now() - began < ms);
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: Math.round((user + system) / 1000) };
};
