// What the table of keys (schema.ts) is made of: a key with its type, default, meaning and name in the model, and the
// types that hold others. Reading (read.ts), writing (write.ts), the JSON Schema, the manual, the checked values and the
// type of what may be written all follow from such a table.

import type { Refused } from './address.ts';

/** A value out of the environment, which may stand wherever a single value may. */
export type Substitution = `${string}\${${string}`;

/** What is written, and what it becomes. For the compiler only: no such property is ever there. */
interface Typed<In, Out> {
  readonly in?: Boxed<In>;
  readonly out?: Boxed<Out>;
}

/** Tells an absent property from one that may be undefined, whatever the compiler is told of optional ones. */
interface Boxed<T> {
  readonly of: T;
}

/** What the JSON Schema and the manual show; `kind` is the manual's word for the type. */
export interface Shown {
  readonly kind: string;
  /** The allowed values in words. */
  readonly range?: string;
  readonly [keyword: string]: unknown;
}

/** A warning is a whole sentence, a refusal continues `"key" …`. */
export type Reading<T> = { readonly value: T; readonly warning?: string } | Refused;

/** A single value with its spelling. */
export interface Leaf<In = unknown, Out = unknown, Unit extends string = string> extends Typed<In, Out> {
  readonly form: 'leaf';
  readonly shown: Shown;
  /** What the names of such values end in, in the model: `Ms`. */
  readonly unit: Unit;
  /** Never given undefined. */
  read(written: unknown): Reading<Out>;
  /** So that it reads again as the same value. Secrets are hidden. */
  write(value: Out): unknown;
}

export interface Mapping<K extends Keys = Keys> extends Typed<Inputs<K>, Values<K>> {
  readonly form: 'mapping';
  readonly keys: K;
  /** Name of a definition in the JSON Schema; empty: it is written where it is used. */
  readonly id: string;
  readonly unit: '';
}

export interface List<T extends Type = Type>
  extends Typed<readonly InputOf<T>[] | InputOf<T>, readonly ValueOf<T>[]> {
  readonly form: 'list';
  readonly item: T;
  readonly min: number;
  readonly max: number;
  /** One item may stand without the list around it. */
  readonly mayBeAlone: boolean;
  readonly unit: '';
}

/** A mapping whose keys are names that its author gives. */
export interface Names<T extends Type = Type>
  extends Typed<Readonly<Record<string, InputOf<T>>>, Readonly<Record<string, ValueOf<T>>>> {
  readonly form: 'names';
  readonly item: T;
  readonly unit: '';
}

/** A single value that stands for a mapping, or for null: not configured. */
export interface Short<L extends Leaf = Leaf, Out = unknown> extends Typed<InputOf<L>, Out> {
  readonly form: 'short';
  readonly leaf: L;
  readonly type: Type;
  /** The mapping as it would be written. */
  long(value: ValueOf<L>): unknown;
  /** A value of this form, written alone, is probably meant for this key of the mapping. */
  readonly meant: readonly [key: string, value: RegExp] | null;
  readonly unit: '';
}

/** Several mappings, or one, with a short form. Which is meant is told by the shape and the keys. */
export interface Either<F extends Mapping | Short = Mapping | Short> extends Typed<InputOf<F>, ValueOf<F>> {
  readonly form: 'either';
  readonly forms: readonly F[];
  readonly unit: '';
}

export type Type = Leaf | Mapping | List | Names | Either | Short;

export type Presence = 'preset' | 'optional' | 'required';

export interface Key<T extends Type = Type, P extends Presence = Presence, Name extends string = string> {
  readonly type: T;
  readonly presence: P;
  /** The default, as it would be written. */
  readonly preset: unknown;
  /** The manual's sentence. */
  readonly says: string;
  /** Name in the model; empty: the key with the unit of its type. */
  readonly name: Name;
}

export type Keys = Readonly<Record<string, Key>>;

/** What may be written for the type. */
export type InputOf<T> = T extends { readonly in?: Boxed<infer In> } ? In : never;

/** What it is once it is read: defaults filled in, units resolved, null where nothing is configured. */
export type ValueOf<T> = T extends { readonly out?: Boxed<infer Out> } ? Out : never;

type ModelName<K extends string, F extends Key> = F['name'] extends ''
  ? `${K}${F['type']['unit']}`
  : F['name'];

type Values<K extends Keys> = {
  readonly [P in keyof K & string as ModelName<P, K[P]>]:
    | ValueOf<K[P]['type']>
    | (K[P]['presence'] extends 'optional' ? null : never);
};

type RequiredKeys<K extends Keys> = {
  [P in keyof K]: K[P]['presence'] extends 'required' ? P : never;
}[keyof K];

type Inputs<K extends Keys> = { readonly [P in RequiredKeys<K>]: InputOf<K[P]['type']> } & {
  readonly [P in Exclude<keyof K, RequiredKeys<K>>]?: InputOf<K[P]['type']> | undefined;
};

/** A key that may be left out: then it is as if `preset` had been written. `name`: in the model. */
export function key<T extends Type, const Name extends string = ''>(
  type: T,
  preset: InputOf<T>,
  says: string,
  name?: Name,
): Key<T, 'preset', NoInfer<Name>> {
  return made(type, 'preset', preset, says, name);
}

/** A key that may be left out: null. */
export function optional<T extends Type, const Name extends string = ''>(
  type: T,
  says: string,
  name?: Name,
): Key<T, 'optional', NoInfer<Name>> {
  return made(type, 'optional', undefined, says, name);
}

export function required<T extends Type, const Name extends string = ''>(
  type: T,
  says: string,
  name?: Name,
): Key<T, 'required', NoInfer<Name>> {
  return made(type, 'required', undefined, says, name);
}

function made<T extends Type, P extends Presence, Name extends string>(
  type: T,
  presence: P,
  preset: unknown,
  says: string,
  name: Name | undefined,
): Key<T, P, Name> {
  // without a name, Name is the type of the empty text
  return { type, presence, preset, says, name: name ?? ('' as Name) };
}

export function mapping<const K extends Keys>(keys: K, id = ''): Mapping<K> {
  return { form: 'mapping', keys, id, unit: '' };
}

export function list<T extends Type>(item: T, { min = 0, max }: { min?: number; max: number }): List<T> {
  return { form: 'list', item, min, max, mayBeAlone: false, unit: '' };
}

/** A list in which at least one item must be, and one may stand alone. */
export function oneOrMore<T extends Type>(item: T, max: number): List<T> {
  return { form: 'list', item, min: 1, max, mayBeAlone: true, unit: '' };
}

export function names<T extends Type>(item: T): Names<T> {
  return { form: 'names', item, unit: '' };
}

/** `long` tells which mapping the single value stands for; where it gives null, so is the value. */
export function short<L extends Leaf, T extends Mapping, R extends InputOf<T> | null>(
  leaf: L,
  type: T,
  long: (value: ValueOf<L>) => R,
  meant: Short['meant'] = null,
): Short<L, ValueOf<T> | Extract<R, null>> {
  return { form: 'short', leaf, type, long, meant, unit: '' };
}

export function either<const F extends readonly (Mapping | Short)[]>(...forms: F): Either<F[number]> {
  return { form: 'either', forms, unit: '' };
}

/** Name of a key's value in the model. */
export function modelName(name: string, field: Key): string {
  return field.name === '' ? `${name}${field.type.unit}` : field.name;
}
