import { type Finding, finding } from '../model/report.js'
import { blankOf } from './layout.js'
import { lineOf } from './statements.js'

/** The marker lines that divide a tool's file into the migration and its rollback. */
interface Markers {
  /** The tool, if it needs the first marker to apply a file; null if it applies the whole file then. */
  requiredBy: string | null
  /** Each with its usual text. The patterns have the flags `g` and `m`. */
  up: { line: string; pattern: RegExp }
  down: { line: string; pattern: RegExp }
}

/** A marker in a file: the position of its line, and the text behind it. */
interface Marker {
  start: number
  end: number
  rest: string
}

/** A file that was divided. Positions in both parts are those in the file. */
interface MarkedParts {
  up: string
  /** Null if the file has no marker for it. */
  down: string | null
  upMarker: Marker | null
  downMarker: Marker | null
  /** Faults of the markers. */
  faults: Finding[]
}

/** Divides a file at its markers. `path` is used in the faults. */
export function markedParts(text: string, path: string, { requiredBy, up, down }: Markers): MarkedParts {
  const faults: Finding[] = []
  const wrong = (reason: string, at = 0) => faults.push(badLayout(text, path, reason, at))
  const [upMarker = null, secondUp] = markersOf(text, up.pattern)
  const [downMarker = null, secondDown] = markersOf(text, down.pattern)
  if (requiredBy !== null) {
    if (!upMarker) wrong(`it has no line \`${up.line}\`, without which ${requiredBy} does not apply it`)
    else if (downMarker && downMarker.start < upMarker.start)
      wrong(`\`${down.line}\` comes before \`${up.line}\``, downMarker.start)
  }
  const second = secondUp ?? secondDown
  if (second) wrong(`a file has one \`${up.line}\` and one \`${down.line}\``, second.start)
  return { ...divide(text, upMarker, downMarker), upMarker, downMarker, faults }
}

/** BAD_LAYOUT for a position in a file. */
export const badLayout = (text: string, path: string, reason: string, at: number): Finding =>
  finding('BAD_LAYOUT', `${path}:${lineOf(text, at).line}`, { reason })

/** The lines of a text that match a pattern. It must have the flags `g` and `m`. */
export const markersOf = (text: string, pattern: RegExp): Marker[] =>
  [...text.matchAll(pattern)].map(m => ({
    start: m.index,
    end: m.index + m[0].length,
    rest: (m[1] ?? '').trim(),
  }))

function divide(text: string, up: Marker | null, down: Marker | null): { up: string; down: string | null } {
  const end = (of: Marker, other: Marker | null) =>
    other && other.start > of.start ? other.start : text.length
  const from = up && down && down.start < up.start ? up.start : 0
  return {
    up: blankOf(text.slice(0, from)) + text.slice(from, up ? end(up, down) : (down?.start ?? text.length)),
    down: down ? blankOf(text.slice(0, down.start)) + text.slice(down.start, end(down, up)) : null,
  }
}
