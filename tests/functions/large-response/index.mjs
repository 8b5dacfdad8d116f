// Answers with a JSON text of exactly event.bytes bytes.
export const handler = async ({ bytes }) => "x".repeat(bytes - 2);
