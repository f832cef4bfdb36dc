package page

import "sort"

// Rect in percent of the box that it lies in.
type Rect struct{ X, Y, Width, Height float64 }

// Squarify divides a box whose width is `aspect` of its height among weights, in their order from the largest down, with
// rectangles as square as can be (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000). The rectangles are in the order
// of the weights as they were given; a weight of nothing gets an empty one.
func Squarify(weights []float64, aspect float64) []Rect {
	order := make([]int, 0, len(weights))
	total := 0.0
	for i, weight := range weights {
		if weight > 0 {
			order = append(order, i)
			total += weight
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return weights[order[a]] > weights[order[b]] })
	rects := make([]Rect, len(weights))
	// Areas, in a box of aspect × 1.
	free := Rect{0, 0, aspect, 1}
	area := func(i int) float64 { return weights[i] / total * aspect }
	for len(order) > 0 {
		side := min(free.Width, free.Height)
		n, sum := 1, area(order[0])
		for n < len(order) && worst(order[:n+1], area, sum+area(order[n]), side) <= worst(order[:n], area, sum, side) {
			sum += area(order[n])
			n++
		}
		free = place(order[:n], area, sum, free, rects)
		order = order[n:]
	}
	for i := range rects {
		rects[i].X, rects[i].Width = rects[i].X/aspect*100, rects[i].Width/aspect*100
		rects[i].Y, rects[i].Height = rects[i].Y*100, rects[i].Height*100
	}
	return rects
}

// worst is the largest ratio of sides in a strip along `side` that these share.
func worst(strip []int, area func(int) float64, sum, side float64) float64 {
	most := 0.0
	for _, i := range []int{strip[0], strip[len(strip)-1]} { // the largest and the smallest
		ratio := side * side * area(i) / (sum * sum)
		most = max(most, ratio, 1/ratio)
	}
	return most
}

// What is left where rounding left nothing, to be divided by.
const nothing = 1e-9

// place lays a strip along the shorter side, and returns what stays free.
func place(strip []int, area func(int) float64, sum float64, free Rect, rects []Rect) Rect {
	if free.Width >= free.Height {
		width, y := sum/free.Height, free.Y
		for _, i := range strip {
			height := area(i) / width
			rects[i] = Rect{free.X, y, width, height}
			y += height
		}
		return Rect{free.X + width, free.Y, max(nothing, free.Width-width), free.Height}
	}
	height, x := sum/free.Width, free.X
	for _, i := range strip {
		width := area(i) / height
		rects[i] = Rect{x, free.Y, width, height}
		x += width
	}
	return Rect{free.X, free.Y + height, free.Width, max(nothing, free.Height-height)}
}
