import type { Report } from '../model/report.js'

/** What a report can be rendered to. */
export type Format = 'table' | 'json' | 'markdown' | 'html' | 'github'

/** How the table for a terminal looks; the other formats have no choice. */
export interface RenderOptions {
  /** Default: false. */
  color?: boolean
  /** Also notices, statements and causes. Default: false. */
  verbose?: boolean
  /** Columns of the terminal. Default: 100. */
  width?: number
}

/**
 * A report as the command line would write it. JSON and the tables have each finding's
 * sentence and fix in words.
 */
export async function render(report: Report, format: Format, options: RenderOptions = {}): Promise<string> {
  switch (format) {
    case 'json':
      return (await import('../render/json.js')).renderJson(report)
    case 'html':
      return (await import('../render/html.js')).renderHtml(report)
    case 'github':
      return (await import('../render/github.js')).renderGithub(report)
    case 'markdown':
      return (await import('../render/markdown.js')).renderMarkdown(report)
    case 'table': {
      const look = { color: false, verbose: false, width: 100, ...options }
      return (await import('../render/table.js')).renderTable(report, look)
    }
  }
}
