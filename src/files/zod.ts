/**
 * What is used of zod, by name, so that the bundle leaves the rest out: its whole is 650 kB, most of it words
 * in other languages. Imported only where there is something to validate.
 */
export {
  _default,
  any,
  array,
  boolean,
  custom,
  enum,
  gt,
  gte,
  int,
  literal,
  lte,
  minLength,
  nullable,
  number,
  optional,
  partialRecord,
  pipe,
  record,
  refine,
  regex,
  strictObject,
  string,
  transform,
  union,
  unknown,
  type ZodMiniType,
} from 'zod/mini'
