import type { Report } from '../model/report.js'

/**
 * Characters with an effect instead of a glyph: controls other than tab and line end, and those that change
 * the direction of text or have no width. Joiners are allowed, because scripts and emoji need them.
 */
const acting =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

const hex = (char: string, digits: number): string => char.charCodeAt(0).toString(16).padStart(digits, '0')

/** A text in which such characters are replaced by visible ones. */
export const visibleText = (text: string): string =>
  text.replaceAll('\r\n', '\n').replace(acting, char => {
    const short = char.charCodeAt(0) < 256
    return short ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`
  })

/**
 * A text without anything that a CI system reads as a command. GitHub's runner skips blanks before `::` and a
 * name, and finds `##[` anywhere. IPv6 addresses stay unchanged.
 */
export const withoutCommands = (text: string): string =>
  text.replace(/^(\s*):(?=:(?![0-9a-f]{1,4}(?![\w-])))/gim, '$1: ').replaceAll('##[', '# #[')

/** A text for a terminal or a log: visible, and without commands of a CI system. */
export const terminalText = (text: string): string => withoutCommands(visibleText(text))

/**
 * A text for HTML elements and attributes. A page may be printed to a CI log, so the first character of what
 * would be a command becomes a character reference.
 */
export const htmlText = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
    .replace(/^(\s*):(?=:)/gm, '$1&#58;')
    .replaceAll('##[', '&#35;#[')

/**
 * A text for Markdown, without links, images, mentions, references, headings or HTML. Text in backticks stays
 * code.
 */
export const markdownText = (text: string): string =>
  text
    .split(/((?<!`)`[^`\n]+`(?!`))/)
    .map((part, i) =>
      i % 2 === 1
        ? part
        : part
            .replace(/[\\[\]*~|]|(?<!\w)_|_(?!\w)/g, '\\$&')
            .replaceAll('&', '&amp;')
            .replaceAll('<', '&lt;')
            .replaceAll('>', '&gt;')
            .replaceAll('`', '&#96;')
            .replaceAll('://', ':\\/\\/')
            .replace(/\bwww\./gi, '$&<!-- -->')
            // a Markdown reader would make links of these
            .replace(/(?<!&)[@#](?=\w)/g, '$&<!-- -->')
            .replace(/^(\s*)([#+=-])/gm, '$1\\$2'),
    )
    .join('')

/** A text on one line. */
export const joinedLines = (text: string): string => text.replace(/\s*\n\s*/g, ' ')

/** The title of a folded part in Markdown: HTML on one line that is read as text. */
export const foldedTitle = (text: string): string =>
  htmlText(joinedLines(text))
    .replaceAll('[', '&#91;')
    .replaceAll(']', '&#93;')
    .replaceAll('://', ':<!-- -->//')
    .replace(/\bwww\./gi, '$&<!-- -->')
    .replace(/(?<!&)[@#](?=\w)/g, '$&<!-- -->')

/** A name as inline code in Markdown. */
export const markdownCode = (text: string): string => `\`${text.replace(/[`\n]+/g, ' ')}\``

/** Lines as a code block in Markdown, with a fence that does not occur in them. */
export function markdownBlock(text: string, language = ''): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(run => run[0].length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}

/** JSON with escapes for invisible characters. Parsing it returns the original ones. */
export const jsonText = (json: string): string =>
  json.replace(acting, char => `\\u${hex(char, 4)}`).replaceAll('##[', '#\\u0023[')

/** A report in which every text is escaped. */
export const escaped = (report: Report, safe: (text: string) => string): Report =>
  each(report, safe) as Report

function each(value: unknown, safe: (text: string) => string): unknown {
  if (typeof value === 'string') return safe(value)
  if (Array.isArray(value)) return value.map(one => each(one, safe))
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, each(one, safe)]))
  return value
}
