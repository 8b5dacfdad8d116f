// Tokens of claims: they name the row, so that no index is needed, and are random, so that a stale holder can't be mistaken for a new one.
import { randomUUID } from "node:crypto";

export const newToken = (row: number): string => `${row}.${randomUUID()}`;

/** The row that a token names; 0, which no row has, for anything else. */
export function rowOfToken(token: string): number {
  const row = Number(token.slice(0, token.indexOf(".")));
  return Number.isSafeInteger(row) ? row : 0;
}
