/** Digits without leading zeros, for comparison as a number of any length. */
export const withoutZeros = (digits: string): string => digits.replace(/^0+(?=\d)/, '')

/** Compares versions without leading zeros as numbers of any length. */
export const compareVersions = (a: string, b: string): number =>
  a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)

/** Compares digits, with or without leading zeros, as numbers. */
export const byNumber = (a: string, b: string): number => compareVersions(withoutZeros(a), withoutZeros(b))
