package timeline

import (
	"fmt"
	"strconv"
	"strings"
)

// canvas is an SVG picture as it is written. Places are in pixels, from the top
// left.
type canvas struct{ out strings.Builder }

// style is of the few classes that everything drawn has one of. The colours are
// told apart by those who do not see red from green, too.
const style = `text{font:12px "DejaVu Sans",Verdana,Arial,sans-serif;fill:#333}
.title{font-size:20px;font-weight:bold;fill:#111}
.run{font-size:15px;font-weight:bold;fill:#111}
.limit{font-size:13px;font-weight:bold;fill:#333}
.small{font-size:11px;fill:#666}
.note{font-size:11px;fill:#7b3fa0;paint-order:stroke;stroke:#fff;stroke-width:4px}
.paper{fill:#fff}
.plot{fill:#f8f9fb}
.grid{stroke:#dde1e6;stroke-width:1}
.axis{stroke:#8a929c;stroke-width:1}
.turn{stroke:#8a929c;stroke-width:1;stroke-dasharray:2 3}
.out{fill:#f3d9a4;fill-opacity:.55}
.left{fill:#9ec5ee;fill-opacity:.45}
.leftline{fill:none;stroke:#1f6fc0;stroke-width:1.2}
.believed{fill:none;stroke:#e07b00;stroke-width:1.4}
.counted{fill:#5b8c5a}
.refused{fill:#d3122a}
.change{stroke:#7b3fa0;stroke-width:1.5}
`

func (c *canvas) begin(width, height float64) {
	fmt.Fprintf(&c.out, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" role="img">`+"\n", px(width), px(height), px(width), px(height))
	c.out.WriteString("<style>" + style + "</style>\n")
	c.box("paper", 0, 0, width, height)
}

func (c *canvas) end() { c.out.WriteString("</svg>\n") }

func (c *canvas) box(class string, x, y, width, height float64) {
	fmt.Fprintf(&c.out, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`+"\n", class, px(x), px(y), px(width), px(height))
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.out, `<path class="%s" d="M%s %sL%s %s"/>`+"\n", class, px(x1), px(y1), px(x2), px(y2))
}

// path is made of places, each of which the pen moves to.
func (c *canvas) path(class, d string) {
	if d != "" {
		fmt.Fprintf(&c.out, `<path class="%s" d="%s"/>`+"\n", class, d)
	}
}

// The sides of a text that stand at its place.
const (
	fromHere = "start"
	around   = "middle"
	upToHere = "end"
)

func (c *canvas) text(class, side string, x, y float64, text string) {
	fmt.Fprintf(&c.out, `<text class="%s" text-anchor="%s" x="%s" y="%s">%s</text>`+"\n", class, side, px(x), px(y), escape(text))
}

// title is what the picture, or the part drawn next, is called by those who cannot
// see it.
func (c *canvas) title(text string) { c.out.WriteString("<title>" + escape(text) + "</title>\n") }

// px is a length to a tenth of a pixel.
func px(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// escape makes a text one that XML can hold: what it cannot becomes a sign for it.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff:
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// letter is about how wide a letter is, at 12 pixels.
const letter = 6.9

// wide is about how wide a text is, at 12 pixels: a little more than most fonts
// need, so that nothing is drawn over another.
func wide(text string) float64 { return letter * float64(len([]rune(text))) }

// wrap breaks a text into lines, of which the last is cut where there is no room
// for the rest.
func wrap(text string, room float64, lines int) []string {
	broken := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := len(broken) - 1
		switch {
		case broken[last] == "":
			broken[last] = word
		case last < lines-1 && wide(broken[last]+" "+word) > room:
			broken = append(broken, word)
		default:
			broken[last] += " " + word
		}
	}
	last := len(broken) - 1
	broken[last] = fit(broken[last], room)
	return broken
}

// fit cuts a text that is wider than there is room for.
func fit(text string, room float64) string {
	runes := []rune(text)
	if most := max(1, int(room/letter)); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
