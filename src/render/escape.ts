import type { Report } from '../model/report.js'

/**
 * Characters that act instead of showing: controls of a terminal other than tab and line end, and those that
 * turn the direction of text or take no room. Joiners stay, which scripts and emoji need.
 */
const acting =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

const hex = (char: string, digits: number): string => char.charCodeAt(0).toString(16).padStart(digits, '0')

/** Text whose characters all show, and do nothing. */
export const visibleText = (text: string): string =>
  text.replaceAll('\r\n', '\n').replace(acting, char => {
    const short = char.charCodeAt(0) < 256
    return short ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`
  })

/**
 * Text with nothing at the start of a line that a CI system takes for a command. GitHub's runner looks past
 * blanks for `::` and a name, and anywhere for `##[`. IPv6 addresses stay.
 */
export const withoutCommands = (text: string): string =>
  text.replace(/^(\s*):(?=:(?![0-9a-f]{1,4}(?![\w-])))/gim, '$1: ').replaceAll('##[', '# #[')

/** Text for a terminal or a log: visible, and no command of a CI system. */
export const terminalText = (text: string): string => withoutCommands(visibleText(text))

/**
 * Text for HTML, in elements and in attributes. A page may be printed to a log of CI, too: what would be a
 * command there is written as a reference to its first character.
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
 * Text for Markdown: no links, images, mentions, references, headings or HTML. What is in a pair of
 * backticks stays code.
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
            // a reader would make them from the shown text
            .replace(/(?<!&)[@#](?=\w)/g, '$&<!-- -->')
            .replace(/^(\s*)([#+=-])/gm, '$1\\$2'),
    )
    .join('')

/**
 * A title of a part that is folded in Markdown: HTML on one line, of which a reader makes nothing but text.
 */
export const foldedTitle = (text: string): string =>
  htmlText(text.replace(/\s*\n\s*/g, ' '))
    .replaceAll('[', '&#91;')
    .replaceAll(']', '&#93;')
    .replaceAll('://', ':<!-- -->//')
    .replace(/\bwww\./gi, '$&<!-- -->')
    .replace(/(?<!&)[@#](?=\w)/g, '$&<!-- -->')

/** A name as code in Markdown. */
export const markdownCode = (text: string): string => `\`${text.replace(/[`\n]+/g, ' ')}\``

/** Lines as a block of code in Markdown, with a fence that none of them ends. */
export function markdownBlock(text: string, language = ''): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(run => run[0].length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}

/** JSON whose characters all show; a reader of it gets what they were. */
export const jsonText = (json: string): string =>
  json.replace(acting, char => `\\u${hex(char, 4)}`).replaceAll('##[', '#\\u0023[')

/** A report with every text in it escaped. */
export const escaped = (report: Report, safe: (text: string) => string): Report =>
  each(report, safe) as Report

function each(value: unknown, safe: (text: string) => string): unknown {
  if (typeof value === 'string') return safe(value)
  if (Array.isArray(value)) return value.map(one => each(one, safe))
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, each(one, safe)]))
  return value
}
