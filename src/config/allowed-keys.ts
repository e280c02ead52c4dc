// Which keys the schema allows where, for "did you mean".

import * as z from 'zod';
import { configSchema } from './schema.ts';
import type { Path, PathPart } from './tree.ts';

/** The keys of the mapping at `path`, in the order of the schema. */
export function allowedKeys(path: Path): readonly string[] {
  let schemas: readonly z.core.$ZodType[] = forms(configSchema);
  for (const part of path) schemas = schemas.flatMap((schema) => step(schema, part)).flatMap(forms);
  return schemas.flatMap((schema) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []));
}

/** The schema without its wrappers; a union is all its forms. */
function forms(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return forms(schema.def.innerType);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(forms);
  return [schema];
}

function step(schema: z.core.$ZodType, part: PathPart): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodArray) return [schema.def.element];
  if (schema instanceof z.ZodRecord) return [schema.def.valueType];
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema instanceof z.ZodObject ? schema.shape : {};
  const inner = shape[String(part)];
  return inner === undefined ? [] : [inner];
}
