// A handler for the rehearsal of a prepared runtime. See bootstrap.cjs.
export const handler = async () => undefined;
