// Imported ahead of any handler, so that Node's loader of ES modules is there. See handler.cjs.
export const isLoaded = true;
