// Fails with the message of its event; `uncaught` and `rejection` fail outside of the handler's promise.
class Refused extends Error {
  name = "Refused";
}

export const handler = async ({ message = "refused", how = "throw" } = {}) => {
  const error = new Refused(message);
  if (how === "throw") throw error;
  if (how === "rejection") void Promise.reject(error);
  else
    setImmediate(() => {
      throw error;
    });
  await new Promise((resolve) => setTimeout(resolve, 10_000));
};
