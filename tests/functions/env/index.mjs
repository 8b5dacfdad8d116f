// Tells the environment variables, the working directory and the user that it sees.
export const handler = async () => ({
  variables: { ...process.env },
  directory: process.cwd(),
  uid: process.getuid(),
  version: process.version,
});
