// What the balancer's own replies say, and in which form: HTML for browsers, JSON or text for who asks for it, the operator's
// pages (config/error-pages.ts) before ours.
//
//   Accept ──> form ──> page of the pool, else of all, else ours
//   a call of gRPC ──> its status, in the head of an empty answer

import { FAILURES, type FailureKind } from '../base/failure.ts';
import { latin1 } from '../base/latin1.ts';
import { type ErrorPages, type PageForm, pageFor } from '../config/error-pages.ts';
import type { RequestHead } from '../http1/message.ts';
import { grpcLines, grpcTypeOf } from './grpc.ts';

const FAILED = 400;
/** Of an Accept field; what follows is not looked at. */
const ACCEPT_CHARS_MAX = 4096;

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  508: 'Loop Detected',
};

export interface ReplyContent {
  readonly type: string;
  /** Its bytes as latin1 text. */
  readonly body: string;
  /** Said in these lines of the head instead of by its status, which is 200. */
  readonly lines?: string;
}

/** In the order in which one is taken where the client has no preference. */
const FORMS: readonly PageForm[] = ['text', 'json', 'html'];

const TYPES: Readonly<Record<PageForm, string>> = {
  text: 'text/plain; charset=utf-8',
  json: 'application/json',
  html: 'text/html; charset=utf-8',
};

const RANGES: Readonly<Record<PageForm, readonly string[]>> = {
  text: ['*/*', 'text/*', 'text/plain'],
  json: ['*/*', 'application/*', 'application/json'],
  html: ['*/*', 'text/*', 'text/html'],
};

/** What is filled in. */
interface Facts {
  readonly status: number;
  readonly reason: string;
  readonly error: FailureKind;
  readonly sentence: string;
  readonly requestId: string;
}

export function reasonOf(status: number): string {
  return REASONS[status] ?? '';
}

/** The reply in plain text. `detail`: what exactly was wrong; '' where the kind says all. */
export function plainContent(kind: FailureKind, detail: string): ReplyContent {
  return { type: TYPES.text, body: ours('text', factsOf(kind, detail, '')) };
}

/**
 * The reply in the form that the request asks for. `fields`: its header lines, '' where they could not be read. `pages`: the
 * operator's, those that go first first. `resetCode`: the code of HTTP/2 that the server has ended the request with, if it has.
 */
export function replyContent(
  kind: FailureKind,
  detail: string,
  fields: string,
  requestId: string,
  pages: readonly ErrorPages[],
  resetCode?: number,
): ReplyContent {
  const facts = factsOf(kind, detail, requestId);
  const { status } = facts;
  if (status < FAILED) return plainContent(kind, detail);
  const grpcType = grpcTypeOf(fields);
  if (grpcType !== null)
    return { type: grpcType, body: '', lines: grpcLines(kind, facts.sentence, resetCode) };
  const form = formFor(fields);
  const page = pages.map((each) => pageFor(each, status, form)).find((each) => each !== undefined);
  return { type: TYPES[form], body: page === undefined ? ours(form, facts) : filled(page, form, facts) };
}

/** The header lines of a request that goes no further. */
export function fieldsOf(buffer: Buffer, { fieldsBegin, fieldsEnd }: RequestHead): string {
  return latin1(buffer, fieldsBegin, fieldsEnd);
}

function factsOf(kind: FailureKind, detail: string, requestId: string): Facts {
  const { status, text } = FAILURES[kind];
  const sentence = detail === '' ? text : detail;
  return { status, reason: reasonOf(status), error: kind, sentence, requestId };
}

/** RFC 9110 section 12.5.1: the highest quality; among equals the one that was asked for by name, then the one named first. */
function formFor(fields: string): PageForm {
  const accept = [...fields.matchAll(/^accept:([^\r\n]*)/gim)].map(([, value]) => value).join(',');
  if (accept === '') return 'text';
  const ranges = accept.slice(0, ACCEPT_CHARS_MAX).toLowerCase().split(',').map(mediaRange);
  let best: PageForm = 'text';
  let bestRank = 0;
  for (const form of FORMS) {
    const rank = rankOf(form, ranges);
    if (rank > bestRank) [best, bestRank] = [form, rank];
  }
  return best;
}

interface MediaRange {
  readonly name: string;
  /** From 0 to 1. */
  readonly quality: number;
}

function mediaRange(text: string): MediaRange {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim());
  const quality = parameters.find((parameter) => parameter.startsWith('q='));
  const value = quality === undefined ? 1 : Number(quality.slice(2));
  return { name, quality: value >= 0 && value <= 1 ? value : 1 };
}

/** Quality, to its three decimals, then how exactly it is named, then how early. 0: it is not wanted. */
function rankOf(form: PageForm, ranges: readonly MediaRange[]): number {
  for (let exactness = 2; exactness >= 0; exactness -= 1) {
    const at = ranges.findIndex(({ name }) => name === RANGES[form][exactness]);
    const quality = ranges[at]?.quality;
    if (quality === undefined) continue;
    return quality === 0 ? 0 : quality * 1e8 + exactness * 1e4 - at;
  }
  return 0;
}

function ours(form: PageForm, facts: Facts): string {
  const { status, reason, error, sentence, requestId } = facts;
  if (form === 'text') return bytesOf(`${status} ${reason}: ${sentence}\n`);
  if (form === 'html') return bytesOf(page(facts));
  const id = requestId === '' ? {} : { requestId };
  return bytesOf(`${JSON.stringify({ error: { code: error, message: sentence, status, ...id } })}\n`);
}

function page({ status, reason, sentence, requestId }: Facts): string {
  const title = `${status} ${reason}`;
  const id = requestId === '' ? '' : `\n<p><small>Request ${escapeHtml(requestId)}</small></p>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:36rem;margin:15vh auto;padding:0 1rem}</style>
<h1>${title}</h1>
<p>${escapeHtml(`${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}.`)}</p>${id}
</html>
`;
}

/** A page of the operator's with what it asks for. */
function filled(text: string, form: PageForm, facts: Facts): string {
  if (!text.includes('{{')) return text;
  const values = { ...facts, status: String(facts.status) };
  return text.replace(/\{\{(status|reason|error|requestId)\}\}/g, (_, name: keyof typeof values) => {
    const value = values[name];
    if (form === 'html') return bytesOf(escapeHtml(value));
    return bytesOf(form === 'json' ? JSON.stringify(value).slice(1, -1) : value);
  });
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
