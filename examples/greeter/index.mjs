// Greets: the Node function of `lambent demo`.
export const handler = async (event, context) => {
  console.log(`greeting ${event.name} as ${context.functionName}`);
  return { greeting: `Hello, ${event.name}!`, node: process.version, pid: process.pid };
};
