// Draws the charts that the page's JSON lists. Each stands above a table of the same figures, which
// is folded once its chart is seen to be there; without this script the tables stay.
(() => {
  'use strict';
  const root = document.documentElement;
  const report = JSON.parse(document.getElementById('docmill-report').textContent);
  const perUsd = report.currency.per_usd;
  const unit = root.dataset.unit;
  const printed = {width: 680, height: 212};  // px of a chart on A4 or Letter
  const seriesColours = 8;
  const charts = [];

  const colour = (name) => getComputedStyle(root).getPropertyValue('--' + name).trim();

  const count = (value) => value.toLocaleString('en-US');
  // A tick has as many decimals as the step between ticks needs.
  const money = (value, step) => {
    const decimals = step >= 1 ? 0 : Math.min(8, Math.max(2, Math.ceil(-Math.log10(step))));
    const options = {minimumFractionDigits: decimals, maximumFractionDigits: decimals};
    return unit + value.toLocaleString('en-US', options);
  };
  const exactMoney = (value) => money(value, value >= 1 ? 0.01 : 0.000001);

  const month = (date) => date.toLocaleString('en-GB', {month: 'short', timeZone: 'UTC'});
  const minuteMs = 60 * 1000;
  const dayMs = 24 * 60 * minuteMs;
  const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 20160, 43200,
                     129600, 525600].map((minutes) => minutes * minuteMs);
  const timeText = (ms, stepMs) => {
    const date = new Date(ms);
    const day = date.getUTCDate() + ' ' + month(date);
    const clock = date.toISOString().slice(11, stepMs < minuteMs ? 19 : 16);
    return stepMs >= dayMs ? day : (ms % dayMs === 0 ? day : clock);
  };

  function timeTicks(scale) {
    const most = Math.max(2, Math.min(8, Math.floor(scale.width / 80)));
    const span = scale.max - scale.min;
    const step = timeSteps.find((one) => span / one <= most) || span / most;
    if (span < 2 * minuteMs) {
      scale.ticks = [{value: scale.min}, {value: scale.max}];
      scale.stepMs = 1000;
      return;
    }
    scale.ticks = [];
    for (let at = Math.ceil(scale.min / step) * step; at <= scale.max; at += step) {
      scale.ticks.push({value: at});
    }
    scale.stepMs = step;
  }

  const shortened = (text, most) => text.length > most ? text.slice(0, most - 1) + '…' : text;

  function valueAxis(chart) {
    return {
      beginAtZero: true,
      stacked: chart.kind === 'stack' || chart.kind === 'rows',
      border: {display: false},
      ticks: {
        maxTicksLimit: 6,
        precision: chart.is_money ? undefined : 0,
        callback: (value, index, ticks) => chart.is_money
            ? money(value, ticks.length > 1 ? ticks[1].value - ticks[0].value : 0.01)
            : count(value),
      },
    };
  }

  function nameAxis(chart) {
    const axis = {stacked: chart.kind === 'stack' || chart.kind === 'rows', grid: {display: false}};
    if (chart.kind === 'rows') {
      axis.ticks = {
        autoSkip: false,
        callback(index) { return shortened(this.getLabelForValue(index), this.chart.width / 18); },
      };
    } else {
      axis.ticks = {maxRotation: 45, autoSkipPadding: 8};
    }
    return axis;
  }

  const timeAxis = (chart) => ({
    type: 'linear',
    min: chart.at_ms[0],
    max: chart.at_ms[chart.at_ms.length - 1],
    grid: {display: false},
    afterBuildTicks: timeTicks,
    ticks: {maxRotation: 0, callback(ms) { return timeText(ms, this.stepMs); }},
  });

  function datasets(chart) {
    const scaled = (value) => chart.is_money ? Number(value) * perUsd : value;
    const sets = chart.series.map((one, index) => ({
      label: one.name,
      colourName: 's' + (index % seriesColours + 1),
      data: chart.kind === 'line'
          ? one.values.map((value, i) => ({x: chart.at_ms[i], y: scaled(value)}))
          : one.values.map(scaled),
    }));
    if (chart.cap_usd !== null) {
      const cap = scaled(chart.cap_usd);
      sets.push({
        label: 'Cap',
        colourName: 'cap',
        borderDash: [6, 4],
        data: [chart.at_ms[0], chart.at_ms[chart.at_ms.length - 1]].map((x) => ({x, y: cap})),
      });
    }
    return sets;
  }

  function paint(drawn) {
    for (const set of drawn.data.datasets) {
      set.borderColor = drawn.config.type === 'line' ? colour(set.colourName) : colour('paper');
      set.backgroundColor = colour(set.colourName);
    }
    for (const scale of Object.values(drawn.options.scales)) {
      scale.ticks.color = colour('muted');
      scale.grid = {...scale.grid, color: colour('line'), borderColor: colour('line')};
    }
    drawn.options.plugins.legend.labels.color = colour('text');
  }

  function configuration(chart) {
    const lying = chart.kind === 'rows';
    const names = chart.kind === 'line' ? timeAxis(chart) : nameAxis(chart);
    const values = valueAxis(chart);
    const sets = datasets(chart);
    return {
      type: chart.kind === 'line' ? 'line' : 'bar',
      data: {labels: chart.kind === 'line' ? undefined : chart.labels, datasets: sets},
      options: {
        animation: false,
        maintainAspectRatio: false,
        indexAxis: lying ? 'y' : 'x',
        interaction: {mode: 'index', axis: lying ? 'y' : 'x', intersect: false},
        scales: lying ? {x: values, y: names} : {x: names, y: values},
        elements: {
          line: {borderWidth: 2},
          point: {radius: 0, hitRadius: 8},
          bar: {borderWidth: chart.kind === 'stack' && chart.labels.length < 50 ? {top: 1} : 0},
        },
        datasets: {bar: {maxBarThickness: 40, categoryPercentage: 0.9, barPercentage: 0.9}},
        plugins: {
          legend: {
            display: sets.length > 1,
            position: 'bottom',
            labels: {boxWidth: 12, boxHeight: 12},
          },
          tooltip: {
            filter: (item) => item.raw !== 0,
            callbacks: {
              title: (items) => items.length === 0 ? '' : chart.labels[items[0].dataIndex],
              label: (item) => {
                const value = lying ? item.parsed.x : item.parsed.y;
                return ' ' + item.dataset.label + ': ' +
                    (chart.is_money ? exactMoney(value) : count(value));
              },
            },
          },
        },
      },
    };
  }

  const isBlank = (canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return !new Uint32Array(pixels.buffer).some((pixel) => pixel !== 0);
  };

  function draw(chart) {
    const section = document.getElementById('chart-' + chart.id);
    const canvas = section.querySelector('canvas');
    section.classList.add('drawn');
    if (chart.kind === 'rows') {
      canvas.parentNode.style.height = (56 + 28 * chart.labels.length) + 'px';
    }
    const made = configuration(chart);
    const drawn = new Chart(canvas, made);
    paint(drawn);
    drawn.update();
    if (isBlank(canvas)) {
      drawn.destroy();
      section.classList.remove('drawn');
      return;
    }
    charts.push(drawn);
    const table = section.querySelector('details');
    table.open = table.classList.contains('stays');
  }

  function repaint() {
    for (const chart of charts) {
      paint(chart);
      chart.update();
    }
  }

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  report.charts.forEach(draw);
  root.dataset.charts = charts.length;

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  // Paper is light, and has a width of its own.
  addEventListener('beforeprint', () => {
    root.dataset.print = 'yes';
    for (const chart of charts) {
      chart.options.devicePixelRatio = 3;
      const lying = chart.options.indexAxis === 'y';
      chart.resize(printed.width, lying ? chart.height : printed.height);
    }
    repaint();
  });
  addEventListener('afterprint', () => {
    delete root.dataset.print;
    for (const chart of charts) {
      chart.options.devicePixelRatio = undefined;
      chart.resize();
    }
    repaint();
  });
})();
