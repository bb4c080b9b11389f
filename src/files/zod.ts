/**
 * The parts of zod that are used, by name, so that the bundle omits the rest. All of zod is 650 kB, mostly
 * messages in other languages. Import this file only when there is something to validate.
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
