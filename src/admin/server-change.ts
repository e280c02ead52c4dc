// What an operator changes of a server (the body of PATCH /api/pools/:pool/servers/:server), checked.

import { WEIGHT_MAX } from '../config/limits.ts';
import type { ServerMode } from '../config/model.ts';
import type { ServerChange } from '../control/results.ts';
import { jsonObject } from './json-body.ts';

export const MODES: readonly ServerMode[] = ['ready', 'drain', 'maintenance'];

/** The change, or a sentence that says what is wrong with the text. */
export function parseServerChange(text: string): ServerChange | string {
  const body = jsonObject(text);
  return typeof body === 'string' ? body : checkServerChange(body);
}

/** The change, or a sentence that says what is wrong with it. */
export function checkServerChange(change: object): ServerChange | string {
  let mode: ServerMode | undefined;
  let weight: number | undefined;
  for (const [key, value] of Object.entries(change)) {
    if (key === 'mode') mode = MODES.find((known) => known === value);
    else if (key === 'weight') weight = isWeight(value) ? value : undefined;
    else return `unknown key ${JSON.stringify(key.slice(0, 64))}: mode and weight are allowed`;
    if (key === 'mode' && mode === undefined) return 'mode must be ready, drain or maintenance';
    if (key === 'weight' && weight === undefined) return `weight must be a number from 0 to ${WEIGHT_MAX}`;
  }
  if (mode === undefined && weight === undefined) return 'nothing to change: give mode, weight or both';
  return { ...(mode === undefined ? {} : { mode }), ...(weight === undefined ? {} : { weight }) };
}

function isWeight(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= WEIGHT_MAX;
}
