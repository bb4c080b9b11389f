import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import type { MarkdownRenderer } from 'vitepress'

/** The top of the repository. */
export const root: string = join(import.meta.dirname, '..')

/** Where the repository is: files that are no page of the site are linked there. */
export const repository: string = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
).repository.url.replace(/^git\+|\.git$/g, '')

/** The page of the site that a Markdown file becomes, or null. */
export function pageOf(file: string): string | null {
  if (file === 'README.md') return 'index.md'
  if (file === 'CHANGELOG.md') return 'changelog.md'
  return /^docs\/(.+\.md)$/.exec(file)?.[1] ?? null
}

/** The anchor that GitHub gives a heading. */
export const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

/** Where a link of a file leads: a page of the site, or the repository. A path that is not there is an error. */
export function addressOf(link: string, file: string): string {
  if (/^([a-z][a-z\d+.-]*:|#)/i.test(link)) return link
  const [path, anchor] = link.split('#') as [string, string?]
  const target = posix.join(posix.dirname(file), decodeURI(path))
  const hash = anchor === undefined ? '' : `#${anchor}`
  if (!existsSync(join(root, target))) throw new Error(`${file}: dead link ${link}`)
  const page = pageOf(target)
  if (page !== null) return `/${page}${hash}`
  const kind = statSync(join(root, target)).isDirectory() ? 'tree' : 'blob'
  return `${repository}/${kind}/main/${target}${hash}`
}

/** Markdown as GitHub reads it: nothing in a page is taken for Vue or for HTML. */
export function asOnGitHub(md: MarkdownRenderer): void {
  md.core.ruler.push('addresses', ({ tokens, env }) => {
    const file = posix.relative(root, env.realPath ?? env.path)
    for (const token of tokens.flatMap(t => t.children ?? [])) {
      const link = token.type === 'link_open' ? token.attrGet('href') : null
      if (link !== null) token.attrSet('href', addressOf(link, file))
    }
  })
  // comments are for those who read the file
  const html = (content: string): string => (content.startsWith('<!--') ? '' : md.utils.escapeHtml(content))
  md.renderer.rules.html_inline = (tokens, i) => html(tokens[i]!.content)
  md.renderer.rules.html_block = (tokens, i) => html(tokens[i]!.content)
  const render = md.render.bind(md)
  md.render = (text, env) => render(text, env).replaceAll('{{', '&#123;&#123;')
}
