// Small charts of how measures grow, one for each dimension and measure, both axes logarithmic: a level line
// is constant.

const width = 220
const height = 150
const margin = { left: 46, right: 22, top: 26, bottom: 30 }
const colors = ['#2563eb', '#dc2626', '#059669', '#d97706', '#7c3aed']

const escaped = text => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const short = n =>
  n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${Number((n / 1e3).toFixed(1))}k` : String(Number(n.toFixed(2)))

/** The text of an SVG; `rows` have a dimension, n, what and the measures. */
export function chart(rows, measures) {
  const dimensions = [...new Set(rows.map(r => r.dimension))]
  const series = [...new Set(rows.map(r => r.what))]
  const parts = []
  for (const [row, dimension] of dimensions.entries())
    for (const [column, measure] of measures.entries())
      parts.push(
        `<g transform="translate(${column * width},${row * height + 30})">${panel(
          rows.filter(r => r.dimension === dimension),
          dimension,
          measure,
          series,
        )}</g>`,
      )
  const legend = series.map(
    (what, i) =>
      `<text x="${margin.left + i * 130}" y="16" fill="${colors[i % colors.length]}">${escaped(what)}</text>`,
  )
  const size = [measures.length * width, dimensions.length * height + 36]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" width="${size[0]}" height="${size[1]}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
${[...legend, ...parts].join('\n')}
</svg>
`
}

function panel(rows, dimension, measure, series) {
  const scale = (values, from, to) => {
    const [low, high] = [Math.min(...values), Math.max(...values)].map(v => Math.log10(v))
    return v => from + (high === low ? 0.5 : (Math.log10(v) - low) / (high - low)) * (to - from)
  }
  const values = rows.map(r => Math.max(0.01, r[measure]))
  // at least one power of ten, so that a level line looks level
  const least = Math.min(...values)
  const x = scale(
    rows.map(r => r.n),
    margin.left,
    width - margin.right,
  )
  const y = scale([least, Math.max(...values, least * 10)], height - margin.bottom, margin.top)
  const lines = series.flatMap((what, i) => {
    const own = rows.filter(r => r.what === what).sort((a, b) => a.n - b.n)
    if (own.length === 0) return []
    const points = own.map(r => [x(r.n), y(Math.max(0.01, r[measure]))].map(v => v.toFixed(1)))
    const color = colors[i % colors.length]
    return [
      `<polyline fill="none" stroke="${color}" points="${points.map(p => p.join(',')).join(' ')}"/>`,
      ...points.map(p => `<circle cx="${p[0]}" cy="${p[1]}" r="2" fill="${color}"/>`),
    ]
  })
  const sizes = [...new Set(rows.map(r => r.n))]
  const ticks = sizes.map(
    n =>
      `<text x="${x(n).toFixed(1)}" y="${height - margin.bottom + 14}" text-anchor="middle">${short(n)}</text>`,
  )
  const ends = [least, Math.max(...values)].map(
    v => `<text x="${margin.left - 4}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end">${short(v)}</text>`,
  )
  return [
    `<text x="${margin.left}" y="${margin.top - 10}" font-weight="bold">${escaped(`${measure} by ${dimension}`)}</text>`,
    `<path d="M${margin.left} ${margin.top}V${height - margin.bottom}H${width - margin.right}" fill="none" stroke="#999"/>`,
    ...ticks,
    ...ends,
    ...lines,
  ].join('')
}
