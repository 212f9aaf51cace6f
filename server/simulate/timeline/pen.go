package timeline

import "strings"

// pen draws a line through places, of which it leaves those out that are on the
// way between their neighbours.
type pen struct {
	strokes strings.Builder
	drawing bool
	x, y    string
	moved   bool
}

func (p *pen) to(x, y float64) {
	px, py := px(x), px(y)
	switch {
	case !p.drawing:
		p.strokes.WriteString("M" + px + " " + py)
	case py == p.y:
		p.moved = true
	default:
		if p.moved {
			p.strokes.WriteString("H" + p.x)
		}
		p.strokes.WriteString("L" + px + " " + py)
		p.moved = false
	}
	p.drawing, p.x, p.y = true, px, py
}

// lift ends the line here; it goes on elsewhere.
func (p *pen) lift() {
	if p.drawing && p.moved {
		p.strokes.WriteString("H" + p.x)
	}
	p.drawing, p.moved = false, false
}

func (p *pen) end() string {
	p.lift()
	return p.strokes.String()
}
