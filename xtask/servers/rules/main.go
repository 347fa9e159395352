// Alert rules for Remint's tests, read by Prometheus' own code: what of a file is no rule, and which numbers it is about.
//
//	rules FILE
//
// One line of JSON for each selector of each expression; the labels by which it is put together stand with every one of them.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// selector is one number that an alert looks at.
type selector struct {
	Alert    string            `json:"alert"`
	Metric   string            `json:"metric"`
	Labels   map[string]string `json:"labels"`
	Grouping []string          `json:"grouping"`
}

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("rules FILE"))
	}
	language := parser.NewParser(parser.Options{})
	groups, problems := rulefmt.ParseFile(os.Args[1], false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		fail(errors.Join(problems...))
	}
	out := json.NewEncoder(os.Stdout)
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			expression, err := language.ParseExpr(rule.Expr)
			if err != nil {
				fail(err)
			}
			for _, one := range selectors(rule.Alert, expression) {
				if err := out.Encode(one); err != nil {
					fail(err)
				}
			}
		}
	}
}

func selectors(alert string, expression parser.Expr) []selector {
	grouping := []string{}
	var found []selector
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			grouping = append(grouping, node.Grouping...)
		case *parser.VectorSelector:
			one := selector{Alert: alert, Metric: node.Name, Labels: map[string]string{}, Grouping: grouping}
			for _, matcher := range node.LabelMatchers {
				if matcher.Name != model.MetricNameLabel {
					if matcher.Type != labels.MatchEqual {
						fail(fmt.Errorf("%s: %s is compared by %s, which nobody looks after here", alert, matcher.Name, matcher.Type))
					}
					one.Labels[matcher.Name] = matcher.Value
				}
			}
			found = append(found, one)
		}
		return nil
	})
	return found
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
